"""Files that start a study on a cluster; README.md beside this one says which to take."""
