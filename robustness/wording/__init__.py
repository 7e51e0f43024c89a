"""Words: sentences, captions and notes, made last, of numbers and flags."""
