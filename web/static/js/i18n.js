// Texts, numbers and dates in the page's language. The English text is the key; only other languages have a catalog.

export const language = document.documentElement.lang || "en";
const catalog = globalThis.cairnCatalog ?? {};
const rules = new Intl.PluralRules(language);
const forms = ["zero", "one", "two", "few", "many", "other"].filter((form) => rules.resolvedOptions().pluralCategories.includes(form));

/** 1,234.5 or 1.234,5. */
export const number = (n, options) => n.toLocaleString(language, options);

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => {
  const value = values[name];
  return value === undefined ? whole : typeof value === "number" ? number(value) : value;
});

/** t("Open {title}", {title}) */
export const t = (text, values = {}) => filled(catalog[text] ?? text, values);

/** tn("one file", "{n} files", n) */
export function tn(one, many, n, values = {}) {
  const found = catalog[one];
  const texts = Array.isArray(found) ? found : [one, many];
  const at = Array.isArray(found) ? forms.indexOf(rules.select(n)) : Number(n !== 1);
  return filled(texts[Math.min(at, texts.length - 1)], { ...values, n });
}
