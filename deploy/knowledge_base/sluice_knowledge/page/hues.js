// Which colour a type or a role has. page.css gives each number its place on the wheel.

const HUES = 12;
/** Types that most schemas have, by the names they have there: these never share a colour. */
const FAMILIAR = [
  ["person", "people", "人物", "人名", "人"],
  ["organisation", "organization", "company", "组织机构", "机构", "组织", "公司", "企业"],
  ["place", "location", "地点", "地理位置", "地名"],
];

/** The class of a type's colour: the same type has the same one on every page. */
export function hueOf(type) {
  const name = (type ?? "").toLowerCase();
  const familiar = FAMILIAR.findIndex((names) => names.includes(name));
  if (familiar >= 0) return `h${1 + familiar}`;
  let sum = 2_166_136_261;
  for (const character of name) sum = Math.imul(sum ^ character.codePointAt(0), 16_777_619);
  return `h${1 + FAMILIAR.length + ((sum >>> 0) % (HUES - FAMILIAR.length))}`;
}

/** Role -> `{letter, hue}` in the order in which `evidence` names them; one role alone needs no letter. */
export function keysOf(evidence) {
  const roles = [...new Set(evidence.flatMap(({ mentions }) => mentions.map(({ role }) => role)))];
  const letter = (index) => (roles.length > 1 && index < 26 ? String.fromCharCode(65 + index) : null);
  return new Map(roles.map((role, index) => [role, { letter: letter(index), hue: `h${1 + (index % HUES)}` }]));
}
