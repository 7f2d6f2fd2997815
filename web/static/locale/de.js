globalThis.cairnCatalog = {};
