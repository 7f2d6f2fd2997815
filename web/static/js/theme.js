// Runs before the first paint, so that the wrong theme doesn't flash, and an early Enter in the chat isn't lost.
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

  // Enter was pressed before the chat's script has loaded and enabled the button: ask as soon as it is enabled.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (event.target.id !== "question" || !document.querySelector("#send:disabled")) return;
    event.preventDefault();
    event.target.dataset.asked = "";
  });
})();
