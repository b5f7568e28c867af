/** Keyboard layouts: which there are to choose from, and which one somebody sits at. Pure. */

export const USUAL = "us";

/** As X knows them, and for people; in the order in which they are offered. */
export const LAYOUTS: readonly { value: string; name: string }[] = [
  { value: USUAL, name: "English (US)" },
  { value: "gb", name: "English (UK)" },
  { value: "us(dvorak)", name: "English (Dvorak)" },
  { value: "us(colemak)", name: "English (Colemak)" },
  { value: "be", name: "Belgian" },
  { value: "br", name: "Portuguese (Brazil)" },
  { value: "ca", name: "French (Canada)" },
  { value: "ch", name: "German (Switzerland)" },
  { value: "ch(fr)", name: "French (Switzerland)" },
  { value: "cz", name: "Czech" },
  { value: "de", name: "German" },
  { value: "dk", name: "Danish" },
  { value: "es", name: "Spanish" },
  { value: "fi", name: "Finnish" },
  { value: "fr", name: "French" },
  { value: "gr", name: "Greek" },
  { value: "hu", name: "Hungarian" },
  { value: "it", name: "Italian" },
  { value: "jp", name: "Japanese" },
  { value: "kr", name: "Korean" },
  { value: "latam", name: "Spanish (Latin America)" },
  { value: "no", name: "Norwegian" },
  { value: "pl", name: "Polish" },
  { value: "pt", name: "Portuguese" },
  { value: "ru", name: "Russian" },
  { value: "se", name: "Swedish" },
  { value: "sk", name: "Slovak" },
  { value: "tr", name: "Turkish" },
  { value: "ua", name: "Ukrainian" },
];

/** What tells a layout from all after it: what keys write alone, by `KeyboardEvent.code`. */
const SIGNS: readonly (readonly [layout: string, writes: Readonly<Record<string, string>>])[] = [
  ["us(dvorak)", { KeyS: "o", KeyD: "e" }],
  ["us(colemak)", { KeyS: "r", KeyD: "s" }],
  ["be", { KeyQ: "a", Digit8: "!" }],
  ["fr", { KeyQ: "a" }],
  ["ch(fr)", { KeyY: "z", Semicolon: "é", Quote: "à" }],
  ["hu", { KeyY: "z", Semicolon: "é" }],
  ["cz", { KeyY: "z", Semicolon: "ů" }],
  ["sk", { KeyY: "z", Semicolon: "ô" }],
  ["de", { KeyY: "z", Semicolon: "ö", Minus: "ß" }],
  ["ch", { KeyY: "z", Semicolon: "ö" }],
  ["latam", { Semicolon: "ñ", Equal: "¿" }],
  ["es", { Semicolon: "ñ" }],
  ["it", { Semicolon: "ò" }],
  ["pt", { Semicolon: "ç", Quote: "º" }],
  ["br", { Semicolon: "ç" }],
  ["no", { Semicolon: "ø" }],
  ["dk", { Semicolon: "æ" }],
  ["se", { Semicolon: "ö", BracketLeft: "å" }],
  ["tr", { Semicolon: "ş" }],
  ["ua", { KeyQ: "й", KeyS: "і" }],
  ["ru", { KeyQ: "й" }],
  ["gr", { KeyE: "ε" }],
  ["jp", { BracketLeft: "@" }],
  ["gb", { KeyQ: "q", Backslash: "#" }],
];

/** Layouts that write what another one does, told apart by what somebody reads. */
const LIKE: Readonly<Record<string, readonly string[]>> = {
  se: ["fi"],
  [USUAL]: ["pl", "kr"],
};

/** Of who speaks this, where keys do not say more; with a region before without. */
const SPOKEN: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ "en-gb": "gb", en: USUAL, "de-ch": "ch", de: "de", it: "it" },
    ...{ "fr-be": "be", "fr-ca": "ca", "fr-ch": "ch(fr)", fr: "fr", "nl-be": "be" },
    ...{ "es-419": "latam", "es-mx": "latam", "es-ar": "latam", "es-co": "latam" },
    ...{ "es-cl": "latam", "es-pe": "latam", es: "es", "pt-br": "br", pt: "pt" },
    ...{ sv: "se", fi: "fi", nb: "no", nn: "no", no: "no", da: "dk" },
    ...{ pl: "pl", cs: "cz", sk: "sk", hu: "hu", ru: "ru", uk: "ua", el: "gr", tr: "tr" },
    ...{ ja: "jp", ko: "kr" },
  }),
);

/**
 * Return the layout that somebody most likely sits at.
 *
 * @param writes what each key writes alone (Keyboard Map API); null: the browser does not tell.
 * @param languages what they read, best first (`navigator.languages`).
 */
export function layoutOf(
  writes: ReadonlyMap<string, string> | null,
  languages: readonly string[],
): string {
  const spoken = speaker(languages);
  if (!writes?.size) return spoken;
  const found = SIGNS.find(([, sign]) =>
    Object.entries(sign).every(([code, text]) => writes.get(code) === text),
  );
  const layout = found ? found[0] : USUAL;
  return LIKE[layout]?.includes(spoken) ? spoken : layout;
}

/** What is asked for, so that a session has this layout; nothing if it has it anyway. */
export function wish(layout: string, usual: string = USUAL): { keyboard?: string } {
  return layout === usual ? {} : { keyboard: layout };
}

function speaker(languages: readonly string[]): string {
  for (const language of languages) {
    const whole = language.toLowerCase();
    const found = SPOKEN.get(whole) ?? SPOKEN.get(whole.split("-")[0] ?? "");
    if (found) return found;
  }
  return USUAL;
}
