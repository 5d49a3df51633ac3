// @ts-check
// Where everything on the map goes, worked out before anything is drawn; in front of all parts, after common.js.

const MAP_EDGE = 22; // empty space left and right
const MAP_PICTURE = 66;
const MAP_RULE = 29; // where the groups' rules lie; their headings stand above
const MAP_PILL = 22; // a pill's height
const MAP_SHEET = 4; // by how much each of the two sheets under a pile shows
const MAP_TIMES = 15; // room for the "×12" above one
const MAP_ROOM = 64; // what a gap gets at most of a wide screen
const MAP_SCALES = { most: 1.4, wide: 2.2, readable: 0.45, tight: 0.25, dense: 0.03, largest: 8, scrolling: 0.9 };

// Text widths are measured, so that labels can be thinned out before they overlap; once each, as that takes long.
const textWidth = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  /** @type {Map<string, number>} */
  const known = new Map();
  return (/** @type {string} */ text, /** @type {number} */ size, /** @type {string} */ family, weight = 400) => {
    const font = `${weight} ${size}px ${family}`;
    const key = `${font}|${text}`;
    let width = known.get(key);
    if (width === undefined && pen) {
      pen.font = font;
      width = pen.measureText(text).width;
      if (known.size > 5000) known.clear(); // fonts and models come and go
      known.set(key, width);
    }
    return width ?? 0;
  };
})();

// A pill ends in its figure and begins with its name.
/** @type {(text: string, most: number) => string} */
const ends = (text, most) =>
  text.length > most ? `${text.slice(0, Math.ceil(most / 2))}…${text.slice(1 - Math.floor(most / 2))}` : text;

// "3-1 … 3-12"; of long names that begin alike, "1.denselayer1 … 6".
/** @type {(first: string, last: string) => string} */
function spanOf(first, last) {
  if (first === last) return first;
  let same = 0;
  if (first.length + last.length > 16) while (first[same] && first[same] === last[same]) same++;
  while (same && /\d/.test(last[same - 1])) same--;
  return `${first} … ${last.slice(same)}`;
}

/**
 * The blocks as they stand on the map: each by itself, but those of a folded run in one pile.
 * @param {Block[]} blocks
 * @param {(run: string) => boolean} folded
 * @returns {MapItem[]}
 */
function mapItems(blocks, folded) {
  /** @type {MapItem[]} */
  const items = [];
  for (let start = 0; start < blocks.length; ) {
    const { run } = blocks[start];
    let end = start + 1;
    if (run && folded(run)) while (end < blocks.length && blocks[end].run === run) end++;
    const own = blocks.slice(start, end);
    const last = own[own.length - 1];
    items.push({
      blocks: own,
      start,
      pile: own.length > 1,
      label: spanOf(own[0].label, last.label),
      count: own[0].width ? spanOf(String(own[0].width), String(last.width)) : "",
    });
    start = end;
  }
  return items;
}

// Tokens stand for the square map that they would make, a vector for a single place. Where nothing has a resolution
// the height says nothing, and is only pleasant; so it is where an amount is not known.
/** @type {(block: Block, look: MapLook) => number} */
function blockHeight(block, { by, most, spatial }) {
  if (by !== "resolution") return by in block.shares ? 8 + 142 * (block.shares[by] / most) : 40;
  if (!spatial && block.kind === "vector") return 40;
  const side = block.height || (block.kind === "tokens" ? Math.sqrt(parseInt(block.shape, 10) || 196) : 1);
  return clamp(26 + 23 * Math.log2(side / 7), 12, 150);
}

// How wide blocks and gaps are at a scale: never too narrow to be seen and hit, but where all of many must fit.
/** @type {(scale: number) => { narrow: number, wide: number, inner: number, between: number }} */
function measures(scale) {
  const { tight, most } = MAP_SCALES;
  const dense = Math.min(scale / tight, 1);
  return {
    narrow: Math.max(14 * dense, 2),
    wide: 120 * Math.max(scale / most, 1),
    inner: clamp(7 * scale, 3 * dense, 9 * Math.max(scale / most, 1)),
    between: clamp(20 * scale, 11 * dense, 30 * Math.max(scale / most, 1)),
  };
}

/**
 * Where everything goes, around an axis at y = 0, at one scale of the widths; `gap` is what each gap gets more.
 * @param {MapItem[]} items
 * @param {MapLook} look
 * @param {number} scale
 * @param {number} gap
 * @returns {MapPlaces}
 */
function mapPlaces(items, look, scale, gap) {
  const { family } = look;
  /** @type {MapPlace[]} */
  const all = [];
  const groups = [];
  const { narrow, wide, ...gaps } = measures(scale);
  const [inner, between] = [gaps.inner + gap, gaps.between + gap];
  const label = Math.max(textWidth(look.input, 10, family), MAP_PICTURE);
  let x = MAP_EDGE + label + between;
  for (let start = 0; start < items.length; ) {
    const group = items[start].blocks[0].group;
    let end = start;
    while (end < items.length && items[end].blocks[0].group === group) end++;
    const members = items.slice(start, end);
    const heading = ends(group, 24);
    const widths = members.map(({ blocks, pile }) => {
      const width = (14 + 1.8 * Math.sqrt(Math.max(blocks[0].width || 1, 1))) * scale;
      return clamp(width, narrow, wide) + (pile ? 2 * MAP_SHEET : 0);
    });
    // A pile's label has its place beside the others.
    const sides = members.map(({ pile, label: text }, i) =>
      pile ? Math.max(0, (textWidth(text, 11, family, 600) + 4 - widths[i] - inner) / 2) : 0,
    );
    const own = widths.reduce((sum, width, i) => sum + width + 2 * sides[i] + inner, -inner);
    // A group is as wide as its heading at least.
    const slot = Math.max(own, textWidth(heading, 11, family) + 4);
    let left = x + (slot - own) / 2;
    const rule = [Math.min(left, x + 2), Math.max(left + own, x + slot - 2)];
    members.forEach((item, nth) => {
      const height = blockHeight(item.blocks[0], look);
      const above = (item.blocks[0].skip ? 9 : 0) + (item.pile || look.open(item.blocks[0].run) ? MAP_TIMES : 0);
      all.push({ item, x: left + sides[nth], width: widths[nth], height, top: height / 2 + above, group: start, nth });
      left += widths[nth] + 2 * sides[nth] + inner;
    });
    groups.push({ heading, width: textWidth(heading, 11, family), middle: x + slot / 2, rule });
    x += slot + between;
    start = end;
  }
  const last = all.length ? all[all.length - 1].x + all[all.length - 1].width : x - between;
  const input = { x: MAP_EDGE + (label - MAP_PICTURE) / 2, middle: MAP_EDGE + label / 2 };
  return { all, groups, input, last, inner, scale, gap, end: last + MAP_EDGE, axis: 0, low: 0 };
}

/** @type {(low: number, high: number, fits: (value: number) => boolean) => number} */
function largest(low, high, fits) {
  if (fits(high)) return high;
  for (let i = 0; i < 12; i++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The widest scale that fits, and where there is width to spare, wider gaps. Where none fits, one that is easy to
 * read, and the map scrolls; `zoom` is a scale that the reader chose, "all" what it takes to see all.
 * @param {MapItem[]} items
 * @param {MapLook} look
 * @param {number} available
 * @param {number | "all" | null} zoom
 */
function mapFit(items, look, available, zoom) {
  const fits = (/** @type {number} */ scale, gap = 0) => mapPlaces(items, look, scale, gap).end <= available;
  const { most, wide, tight, dense, scrolling } = MAP_SCALES;
  let scale = typeof zoom === "number" ? zoom : 0;
  if (zoom === "all") scale = largest(dense, most, fits);
  else if (!scale) scale = fits(tight) ? largest(tight, most, fits) : scrolling;
  const spare = fits(scale) ? largest(0, MAP_ROOM, (gap) => fits(scale, gap)) : 0;
  // A wide screen, and few blocks: what the gaps do not take is for the blocks.
  if (typeof zoom !== "number" && spare === MAP_ROOM) scale = largest(scale, wide, (more) => fits(more, spare));
  return mapPlaces(items, look, scale, spare);
}

/**
 * Whether repeats are folded unless the reader says otherwise: where the map would else be too dense to be read, and
 * the piles make it a good deal shorter.
 * @param {Block[]} blocks
 * @param {MapLook} look
 * @param {number} available
 */
function foldsByItself(blocks, look, available) {
  const open = mapItems(blocks, () => false);
  const piles = mapItems(blocks, () => true).length;
  return piles <= 0.75 * open.length && mapPlaces(open, look, MAP_SCALES.readable, 0).end > available;
}

/**
 * Heads stand as pills above their blocks, as low as blocks, arcs and other pills let them.
 * @param {MapPlaces} places
 * @param {string} family
 */
function mapPills(places, family) {
  /** @type {MapPill[]} */
  const pills = [];
  const heads = places.all.flatMap((place) =>
    place.item.blocks.flatMap((block) => block.heads.map((head) => ({ place, block, head }))),
  );
  for (const { place, block, head } of heads) {
    const text = ends(head.label, 30);
    const width = textWidth(text, 11, family, 600) + 22;
    const foot = place.x + place.width / 2;
    const x = clamp(foot - width / 2, 4, Math.max(4, places.end - width - 4));
    const under = places.all.filter((other) => other.x - 4 < x + width && other.x + other.width + 4 > x);
    let y = -Math.max(0, ...under.map((other) => other.top)) - 7 - MAP_PILL;
    const clash = () =>
      pills.find((pill) => pill.x < x + width + 4 && x < pill.x + pill.width + 4 && Math.abs(pill.y - y) < MAP_PILL + 3);
    for (let hit = clash(); hit; hit = clash()) y = hit.y - MAP_PILL - 3;
    pills.push({ text, full: head.label, x, y, width, foot, top: -place.height / 2, name: block.name });
  }
  return pills;
}

/**
 * Which labels can be shown side by side: the chosen block's, then the piles' and every group's first, then in each
 * group every second, third, ... as there is room.
 * @param {MapPlace[]} places
 * @param {number} chosen which is the chosen block's
 * @param {number} gap
 * @param {(place: MapPlace, chosen: boolean) => number} widthOf
 */
function mapLabels(places, chosen, gap, widthOf) {
  /** @type {Map<number, number>} */
  const steps = new Map();
  const labels = places.map((place, index) => ({
    index,
    group: place.group,
    nth: place.nth,
    pile: place.item.pile,
    middle: place.x + place.width / 2,
    width: widthOf(place, index === chosen),
  }));
  labels.forEach((label, i) => {
    const next = labels[i + 1];
    if (next?.group !== label.group) return;
    const step = Math.ceil(((label.width + next.width) / 2 + gap) / (next.middle - label.middle));
    steps.set(label.group, Math.max(steps.get(label.group) ?? 1, step));
  });
  const rank = (/** @type {typeof labels[0]} */ { index, nth, pile }) =>
    index === chosen ? 0 : pile ? 1 : nth === 0 ? 2 : 3;
  /** @type {typeof labels} */
  const kept = [];
  for (const label of [...labels].sort((a, b) => rank(a) - rank(b) || a.index - b.index)) {
    if (label.index !== chosen && !label.pile && label.nth % (steps.get(label.group) ?? 1)) continue;
    const clear = kept.every((other) => Math.abs(other.middle - label.middle) >= (other.width + label.width) / 2 + gap);
    if (clear) kept.push(label);
  }
  return new Set(kept.map((label) => label.index));
}
