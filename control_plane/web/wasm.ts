import { Buffer } from "node:buffer";

import type { Plugin } from "vite";

const INLINED = /"data:application\/wasm;base64,([A-Za-z0-9+/=]+)"/;

/**
 * Puts the WebAssembly of IronRDP beside its script. The package has it inside, as text: that is
 * a third larger, cannot be compiled while it arrives, and the page's policy allows no `data:`
 * address to be fetched.
 */
export function wasmBeside(): Plugin {
  return {
    name: "wasm-beside",
    apply: "build",
    transform(code, id) {
      if (!id.endsWith("/iron-remote-desktop-rdp.js")) return null;
      const found = INLINED.exec(code);
      if (!found?.[1]) throw new Error("IronRDP's package has no WebAssembly inside any more.");
      const source = Buffer.from(found[1], "base64");
      const file = this.emitFile({ type: "asset", name: "ironrdp.wasm", source });
      return { code: code.replace(found[0], `import.meta.ROLLUP_FILE_URL_${file}`), map: null };
    },
  };
}
