// Runs before the first paint, so that a chosen theme does not flash.
(() => {
  const root = document.documentElement;
  const wanted = matchMedia("(prefers-contrast: more)");
  const kept = () => { try { return localStorage.getItem("cairn-theme"); } catch { return null; /* storage is switched off: the system's choice holds */ } };

  window.applyTheme = (theme) => {
    if (["light", "dark", "contrast"].includes(theme)) root.dataset.theme = theme;
    else delete root.dataset.theme;
    root.toggleAttribute("data-contrast", theme === "contrast" || wanted.matches);
  };
  wanted.addEventListener("change", () => window.applyTheme(root.dataset.theme));
  window.applyTheme(kept());
})();
