// What pages do without asking the server to draw: follow clicks, copy, and send what any client of the API would.
"use strict";
(() => {
  const nothing = () => window.dash_clientside.no_update;
  const api = (path) => "/api/v1/studies" + path.replace(/^\/studies/, "");

  const said = async (answer) => {
    try {
      const body = await answer.json();
      const problems = (body.problems || []).map((one) => `${one.path}: ${one.message}`);
      return [body.detail, ...problems].filter(Boolean).join("; ");
    } catch (_) {
      return `The service answered ${answer.status}.`;
    }
  };

  // What was said is read and goes; the same said again is said anew.
  const told = (text) => {
    setTimeout(() => window.dash_clientside.set_props("said", { children: "" }), 8000);
    return text;
  };

  const act = async (clicks, path, method, suffix, done) => {
    if (!clicks) return nothing();
    const answer = await fetch(api(path) + suffix, { method });
    return told(answer.ok ? done : await said(answer));
  };

  // Buttons of the form that are pressed or not; what is pressed goes to the store of their group.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-choice]");
    if (!button) return;
    const group = [...button.parentElement.querySelectorAll("button[data-choice]")];
    const one = button.parentElement.dataset.choose === "one";
    const pressed = (other) => other.getAttribute("aria-pressed") === "true";
    for (const other of group) {
      const now = other === button ? one || !pressed(other) : !one && pressed(other);
      other.setAttribute("aria-pressed", String(now));
    }
    const chosen = group.filter(pressed).map((other) => other.dataset.choice);
    window.dash_clientside.set_props(button.parentElement.dataset.store, { data: one ? chosen[0] : chosen });
  });

  // Elements that came as text: see raw.py.
  const place = (element) => {
    if (element.dataset.html !== element.placed) element.innerHTML = element.placed = element.dataset.html;
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes, type } of changes) {
      if (type === "attributes") place(target);
      for (const node of addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        if (node.dataset.html !== undefined) place(node);
        node.querySelectorAll("[data-html]").forEach(place);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-html"] });

  // Links between pages change the address, and Dash what it stands for; a view of the same page stays where it is.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="/"]');
    const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
    if (!link || !plain || link.hasAttribute("download") || link.pathname.startsWith("/api/")) return;
    event.preventDefault();
    const same = link.pathname === window.location.pathname;
    window.history.pushState({}, "", link.href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (!same) window.scrollTo(0, 0);
  });

  // Of a launch that is repeated because its answer was lost: the same text has the same key.
  let launched = { text: null, key: null };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    robustness: {
      narrow: () => window.innerWidth < 760,

      find: (text) => (text ? "?" + new URLSearchParams({ q: text }) : ""),

      title: () => {
        const found = document.querySelector("main h1");
        document.title = found ? `${found.firstChild.textContent} · Robustness studies` : "Robustness studies";
        return nothing();
      },

      // A running study's answer and tables are computed anew at every fifth look, a stopped one's at once.
      settle: (seen, settled, pause) => {
        if (!seen) return nothing();
        const recent = settled && settled.study === seen.study && Date.now() - settled.at < 5 * pause;
        if (recent && (seen.running || settled.revision === seen.revision)) return nothing();
        return { ...seen, at: Date.now() };
      },

      // A square of a heatmap: its trials are listed.
      pick: (click, figure, search) => {
        const point = click && click.points && click.points[0];
        const { meta, x } = (point && figure.data[point.curveNumber]) || {};
        if (!meta) return nothing();
        const column = x.findIndex((edge) => edge > point.x) - 1; // x has the edges of the squares
        const query = new URLSearchParams(search);
        query.set("cell", `${meta.optimizer},${meta.lrs[column]},${meta.inits[Math.round(point.y)]}`);
        query.delete("trial");
        query.delete("first");
        setTimeout(() => document.getElementById("trials-section").scrollIntoView({ block: "nearest" }), 400);
        return "?" + query.toString();
      },

      copy: async (clicks, path) => {
        if (!clicks) return nothing();
        const answer = await fetch(api(path) + "/table?format=latex");
        if (!answer.ok) return told(await said(answer));
        await navigator.clipboard.writeText(await answer.text());
        return told("The table is on the clipboard, as LaTeX.");
      },

      cancel: (clicks, path) => act(clicks, path, "POST", "/cancel", "It was asked to stop; what is finished stays."),
      resume: (clicks, path) => act(clicks, path, "POST", "/resume", "It is queued again."),
      delete: async (clicks, path) => {
        if (!clicks || !window.confirm("Delete this study, and its trials that no other study has?")) return nothing();
        const refusal = await act(clicks, path, "DELETE", "", "");
        if (refusal === "") window.location.assign("/");
        return refusal;
      },

      launch: async (clicks, text) => {
        if (!clicks) return [nothing(), nothing()];
        if (launched.text !== text) launched = { text, key: crypto.randomUUID() };
        const kind = text.trimStart().startsWith("{") ? "json" : "toml";
        const headers = { "content-type": `application/${kind}`, "idempotency-key": launched.key };
        const answer = await fetch("/api/v1/studies", { method: "POST", headers, body: text });
        if (!answer.ok) return [nothing(), told(await said(answer))];
        const study = await answer.json();
        return ["/studies/" + study.id, told(`${study.id} is queued.`)];
      },

      logOut: async (clicks) => {
        if (!clicks) return nothing();
        await fetch("/logout", { method: "POST" });
        window.location.assign("/login");
        return "";
      },
    },
  });
})();
