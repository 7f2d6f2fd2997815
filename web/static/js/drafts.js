// Drafts of questions: stored in this browser, for each user and conversation.

const PREFIX = "cairn-draft:";

function key() {
  const { user, conversation } = document.getElementById("main").dataset;
  return `${PREFIX}${user}:${conversation || "new"}`;
}

/** The text of temporary chats is not stored. */
export const isTemporary = () => "temporary" in document.getElementById("main").dataset;

/** Without browser storage, drafts last as long as the page. */
function tried(action) {
  try {
    return action();
  } catch {
    return null;
  }
}

export const draft = {
  read: () => tried(() => localStorage.getItem(key())) ?? "",
  keep: (text) => tried(() => (text.trim() && !isTemporary() ? localStorage.setItem(key(), text) : localStorage.removeItem(key()))),
};

export const forgetDrafts = () => tried(() => {
  for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name);
});
