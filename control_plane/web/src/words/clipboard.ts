/** What people are told about the clipboard: what a template forbids, what is too long. */

import { bytes } from "./amounts.ts";
import type { ClipboardRules } from "../viewer/way.ts";

/** What the template forbids, in words; empty if it is nothing. */
export function forbids(rules: ClipboardRules): string {
  if (!rules.upload && !rules.download) {
    return "This desktop's template keeps the clipboard apart: nothing goes in from here, and nothing that is copied there comes out.";
  }
  if (!rules.upload) {
    return "This desktop's template lets nothing be pasted in from here. What is copied there appears here.";
  }
  if (!rules.download) {
    return "This desktop's template lets nothing out that is copied there. What you send from here can be pasted there.";
  }
  return "";
}

/** Why a picture of so many bytes is not carried over, in words; empty if it may be. */
export function tooLarge(size: number, rules: ClipboardRules): string {
  if (size <= rules.most) return "";
  return `This picture is too large for the clipboard: ${bytes(size)}, and ${bytes(rules.most)} is the most. Send it as a file.`;
}

/** Why a text is not carried over, in words; empty if it may be. */
export function tooLong(text: string, rules: ClipboardRules): string {
  // Three bytes for each unit is the most there can be; counting is for those that might be more.
  if (text.length * 3 <= rules.most) return "";
  // Lines travel with two characters at their end.
  const size = new TextEncoder().encode(text.replace(/\r?\n/g, "\r\n")).length;
  if (size <= rules.most) return "";
  return `This text is too long for the clipboard: ${bytes(size)}, and ${bytes(rules.most)} is the most. Send it as a file.`;
}
