// Before the first paint: the theme that was chosen, else that of the system.
"use strict";
try {
  const theme = localStorage.getItem("merganser.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // storage is closed to this page: the system's theme it is
}
