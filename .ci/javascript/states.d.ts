// What the parts of the app are given: traits of explorer.py, filled by present.py. For the type checker only.

type Model<T extends object> = import("@anywidget/types").AnyModel<T>;
type Props<T extends object> = { model: Model<T>; el: HTMLElement };

/** A node that follows an item: `update` brings it to what the item says now. */
interface Follower<T> {
  node: Element;
  update?: (item: T, index: number) => void;
}

interface Choice {
  id: string;
  label: string;
}

interface ListedModel {
  name: string;
  family: string;
  kinds: string[];
  mark: string;
  install: string;
  params: number | null;
  macs: number | null;
  side: number;
  params_text: string;
  macs_text: string;
  input: string;
}

/** A part of what was typed into the picker; without a label it is a part of a name. */
interface Term {
  text: string;
  label?: string;
  detail?: string;
  unknown?: boolean;
  limit?: Record<string, number>;
  test: (model: ListedModel) => boolean;
}

interface Picker {
  focus(): void;
  stop(): void;
}

/** What a model costs; those with an id can have a limit. */
interface Total {
  id?: "params" | "macs" | "memory";
  value: string;
  label: string;
  limit: string;
  share: number | null;
  trunk_share: number | null;
  trunk: string;
  words: string;
  batch?: number;
  mode?: string;
}

interface BarTraits {
  state: Partial<{
    name: string;
    family: string;
    trained: string | null;
    custom: boolean;
    facts: string[];
    side: { key: string; value: string; options: Choice[] } | null;
    device: string;
    devices: Choice[];
    totals: Total[];
  }>;
  models: ListedModel[];
  design: DesignTraits["design"];
  status: string;
  error: string;
  busy: boolean;
  progress: number;
  steps: Partial<{ words: string[]; at: number; undo: string; redo: string }>;
}

interface Block {
  name: string;
  label: string;
  type: string;
  group: string;
  shape: string;
  width: number;
  height: number;
  skip: boolean;
  off: boolean;
  run: string;
  shares: Record<string, number>;
  values: Record<string, string>;
  heads: Choice[];
  kind: "map" | "sequence" | "tokens" | "vector";
}

/** `ends`: a share says little of it, so that the ramp's ends are written. */
type Measure = Choice & { ends?: boolean };

type MapState = Partial<{ input: string; blocks: Block[]; color_by: string; colors: Measure[]; sizes: Measure[] }>;

interface MapTraits {
  state: MapState;
  picture: string;
  selected: string;
}

/** What stands on the map by itself: a block, or a pile of a run's. */
interface MapItem {
  blocks: Block[];
  start: number;
  pile: boolean;
  label: string;
  count: string;
}

/** What the heights stand for, and which runs were opened. */
interface MapLook {
  by: string;
  most: number;
  spatial: boolean;
  input: string;
  family: string;
  open: (run: string) => boolean;
}

interface MapPlace {
  item: MapItem;
  x: number;
  width: number;
  height: number;
  top: number;
  group: number;
  nth: number;
}

/** `axis` and `low` are set when it is drawn. */
interface MapPlaces {
  all: MapPlace[];
  groups: { heading: string; width: number; middle: number; rule: number[] }[];
  input: { x: number; middle: number };
  last: number;
  inner: number;
  scale: number;
  gap: number;
  end: number;
  axis: number;
  low: number;
}

interface MapPill {
  text: string;
  full: string;
  x: number;
  y: number;
  width: number;
  foot: number;
  top: number;
  name: string;
}

interface MapActs {
  pick(index: number): void;
  open(index: number): void;
  point(index: number): void;
  arrive(index: number): void;
  fold(run: string): void;
  choose(name: string): void;
}

interface HeadChoice {
  name: string;
  title: string;
  fits: boolean;
  detail: string;
}

interface Share {
  label: string;
  share: number;
  value: string;
}

interface AttachedHead {
  id: string;
  block: string;
  title: string;
  classes: string;
  untrained: boolean;
  bars: Share[];
  note: string;
  keys: Key[];
  places: { id: string; why: string }[];
}

interface OwnClassifier {
  id: string;
  classes: string;
  trained: string;
  bars: Share[];
}

interface Cost {
  label: string;
  share: number;
  value: string;
  percent: string;
}

interface PanelTraits {
  state: Partial<{
    name: string;
    type: string;
    input: string;
    output: string;
    stride: string;
    sees: string;
    rows: Cost[];
    heads: HeadChoice[];
    attached: { id: string }[];
    num_classes: number;
  }>;
  heads: Partial<{ own: OwnClassifier | null; attached: AttachedHead[]; kinds: Record<string, Key[]> }>;
}

/** What the positions of a map see of the picture, (height, width). */
interface Window2d {
  size: number[];
  stride: number[];
  offset: number[];
  image: number[];
}

interface ShownMap {
  channel: number;
  low: number;
  high: number;
}

interface Maps {
  kind: "map" | "sequence" | "tokens" | "vector";
  channels: number;
  values: number;
  height: number;
  width: number;
  steps: number;
  field: Window2d | null;
  times: string[];
  order: string;
  orders: Choice[];
  names: string[];
  scale: string;
  offset: number;
  page_size: number;
  maps: ShownMap[];
}

interface FeatureTraits {
  state: Partial<{ block: string; untrained: boolean; features: Maps | null; hint: string }>;
  source: Partial<{
    images: { name: string; label: string }[];
    image: string;
    clip: boolean;
    runs: boolean;
    lacks: boolean;
    uploads: boolean;
    takes: string;
    example: string;
    ran: boolean;
    run_text: string;
    predictions: { label: string; share: number; value: string }[];
    prediction_title: string;
  }>;
  picture: string;
  pixels: DataView | null;
  frames: string[];
  frame: number;
  busy: boolean;
  error: string;
  pane: any;
}

/** The chosen block's maps and their numbers, which belong together. */
interface DrawnMaps {
  features: Maps;
  numbers: Uint16Array;
}

/** One map at one moment, with the lowest and highest value that it has at any. */
interface UnitShown {
  channel: number;
  width: number;
  height: number;
  field: Window2d | null;
  numbers: Uint16Array;
  low: number;
  high: number;
  at: (index: number) => number;
}

interface UnitPatch {
  name: string;
  value: number;
  at: number[];
  source: string;
  dot: number[] | null;
  chosen: boolean;
}

interface UnitPatches {
  source: string;
  sources: Choice[];
  folder: string;
  auto: boolean;
  count: number | null;
  note: string;
  items: UnitPatch[];
}

interface UnitRow {
  label: string;
  share: number;
  value: string;
  before?: number;
  points?: string;
}

interface UnitWithout {
  on: boolean;
  to: string;
  rows: UnitRow[];
}

/** The channel that is looked at, as exploring/panes/features.py tells it; positions are (row, column). */
interface UnitState {
  channel: number;
  position: [number, number] | null;
  rank: string;
  before: number | null;
  after: number | null;
  patches: UnitPatches | null;
  without: UnitWithout | null;
}

interface UnitMap {
  node: HTMLElement;
  focus(): void;
  show(of: UnitShown, at: [number, number]): void;
}

type UnitProps = Props<FeatureTraits> & {
  picture: PictureColumn;
  data: () => DrawnMaps | null;
  close: () => void;
  step: (by: -1 | 1) => void;
};

/** An array in `pane_pixels`: see exploring/pixels.py. */
interface Packed {
  start: number;
  shape: number[];
  low: number;
  high: number;
}

/** The same with its numbers; `at` gives the value in a place. */
interface Unpacked {
  shape: number[];
  low: number;
  high: number;
  numbers: Uint16Array;
  at: (index: number) => number;
}

/** What views beside the picture may ask of it. */
interface PictureColumn {
  /** words about what is pointed at; what `aria-describedby` names */
  readout: HTMLElement;
  /** marks what one place of a map sees of the picture */
  point(at: { x: number; y: number; width: number; height: number; field: Window2d | null } | null): void;
  /** the place below, of the open view */
  below: HTMLElement;
  /** the picture or frame that is shown, as a data URL; "" for none */
  shown(): string;
  /** whether what the model says is shown below it */
  guesses(on: boolean): void;
  /** which of a clip's time steps is shown */
  step(): number;
  /** calls when that changes */
  onMove(act: () => void): void;
  stop(): void;
}

/** A view is given the place at the end of the row of tabs, too, and the picture beside it. */
type ViewProps<T extends object> = Props<T> & { tools: HTMLElement; picture: PictureColumn };

/** What any tab may read: its own state, its arrays, and what the app shows besides. */
interface PaneTraits {
  pane: any;
  pane_pixels: DataView | null;
  selected: string;
  source: FeatureTraits["source"];
  picture: string;
  frames: string[];
  tab: string;
  busy: boolean;
}

/** What exploring/panes/attention.py shows once it was read; its arrays by their names. */
interface ShownAttention {
  layers: { name: string; heads: number; apart: number[]; even: number }[];
  layer: number;
  head: number;
  first: number;
  most: number;
  rollout: boolean;
  whole: boolean;
  row: number;
  column: number;
  rows: number;
  columns: number;
  prefix: number;
  /** what the tokens before the patches are called, of keys and of queries */
  before: string[];
  query_before: string[];
  query_rows: number;
  query_columns: number;
  what: string;
  even: number;
  tokens: { block: string; layer: number }[];
  block: string;
  /** (windows, L, S) of the chosen head */
  matrix: Unpacked;
  /** (windows, S): which place each key of a window is; empty without windows */
  places: Unpacked;
  /** (places, places); empty where there are too many */
  likeness: Unpacked;
  thumbs: Unpacked[];
  colours: Unpacked[];
}

/** What one place attends to: a share a cell of the picture, those of the tokens before, and what is in its window. */
interface Attended {
  cells: Float32Array;
  before: number[];
  within: Uint8Array | null;
}

/** Of a probe: block, MACs so far, accuracy and its spread; the same of random weights, where they were asked. */
type Probed = [string, number, number, number | null, number?, (number | null)?];

interface Answer {
  growing: boolean;
  stopped: string;
  weights: string;
  points: Probed[];
  low: number;
  x: string;
  letter: string;
  unit: number;
  known: boolean;
  pixels: number | null;
  chance: number;
  says: string[];
  heads: string[];
  foot: string;
  notes: string[];
}

interface ViewsTraits extends FeatureTraits, PaneTraits {
  tab: string;
  tabs: { id: string; title: string }[];
}

interface CodeTraits {
  code: string;
}

interface Key {
  name: string;
  meaning: string;
  takes: string;
  kind: "number" | "toggle" | "choice" | "text";
  changed: boolean;
  value: unknown;
  preset: string;
  at_preset: number | null;
  options: Choice[];
  text: string;
  rare: boolean;
  low: number;
  high: number;
  step: number;
  refused: { typed: string; reason: string; nearest: string[] } | null;
}

/** What is done with a key; `live` says whether also while a slider is held. */
interface KeyActs {
  turn(key: string, value: unknown, done: boolean): void;
  reset(key: string): void;
  live: boolean;
}

interface KeyControl {
  node: HTMLElement;
  box: HTMLElement;
  update(): void;
}

interface DesignTraits {
  design: Partial<{ family: string; name: string; keys: Key[]; changed: number }>;
  steps: Partial<{ words: string[]; at: number; undo: string; redo: string }>;
}

/** The traits of the whole app: those of its parts, some by longer names. */
type AppTraits = Record<string, unknown>;

// The parts, as bundle.py puts them together.
interface Part<T extends object> {
  render(props: Props<T>): () => void;
}
interface ViewPart<T extends object> {
  render(props: ViewProps<T>): () => void;
}
declare const picker: { render(props: Props<BarTraits>): Picker };
declare const budget: Part<BarTraits>;
declare const heads_panel: Part<PanelTraits>;
declare const model_bar: Part<BarTraits>;
declare const block_map: Part<MapTraits>;
type MapColour = (block: Block) => string;
declare const map_drawing: {
  render(acts: MapActs): {
    svg: SVGElement;
    list: SVGElement;
    options(): SVGElement[];
    draw(places: MapPlaces, pills: MapPill[], input: string, picture: string, open: (run: string) => boolean): void;
    mark(places: MapPlaces, family: string, selected: string): number;
    paint(places: MapPlaces, colour: MapColour): void;
    tell(words: (item: MapItem) => string, places: MapPlaces, found: (item: MapItem) => boolean): void;
    head(places: MapPlaces, left: number, width: number): void;
  };
};
declare const map_card: {
  render(props: { measures(): Measure[]; chosen(): MapItem | null }): {
    node: HTMLElement;
    show(item: MapItem | null): void;
    hide(): boolean;
    rest(): void;
  };
};
declare const map_overview: {
  render(props: { scroller: HTMLElement; moved(): void }): {
    node: HTMLElement;
    draw(places: MapPlaces, width: number, colour: MapColour): void;
    mark(selected: string): void;
  };
};
declare const map_search: {
  render(props: { blocks(): Block[]; found(): void; choose(name: string): void; leave(): void }): {
    node: HTMLElement;
    begin(): void;
    matches(block: Block): boolean;
    asked(): string;
    now(): Block | undefined;
  };
};
declare const map_hand: {
  render(props: { scroller: HTMLElement; wide(): boolean; zoomBy(factor: number, pointer: number): void }): void;
};
declare const block_panel: Part<PanelTraits>;
declare const design_panel: Part<DesignTraits>;
declare const views: Part<ViewsTraits>;
declare const feature_grid: ViewPart<FeatureTraits>;
declare const unit_map: {
  render(props: { picture: PictureColumn; onChoose: (x: number, y: number) => void }): UnitMap;
};
declare const unit_patches: {
  render(props: { model: Model<FeatureTraits> }): {
    node: HTMLElement;
    show(block: string, patches: UnitPatches | null): void;
    forget(): void;
  };
};
declare const unit_without: {
  render(props: { model: Model<FeatureTraits>; el: HTMLElement }): {
    show(channel: number, without: UnitWithout | null): void;
    hide(): void;
  };
};
declare const unit_view: {
  render(props: UnitProps): {
    show(channel: number, at: [number, number] | null, told: UnitState | null): void;
    hide(): void;
    focus(): void;
  };
};
// Maps of a size in their own pixels; `color` fills in one's.
interface MapSheet { width: number; height: number; count: number; color(index: number, out: Uint32Array): void }
declare const map_sheet: { render(props: { grid: HTMLElement; cells: () => HTMLElement[] }): { node: HTMLElement; show(maps: MapSheet): void; close(): void } };
declare const vector_values: { render(props: { el: HTMLElement }): { show(drawn: DrawnMaps | null): void } };
declare const why_view: ViewPart<PaneTraits>;
declare const why_classes: { render(props: Props<PaneTraits>): { update(pane: any): void; stop(): void } };
declare const why_maps: {
  render(props: ViewProps<PaneTraits>): { update(pane: any, alone: boolean, shared: boolean): void; stop(): void };
};
declare const attention_view: ViewPart<PaneTraits>;
declare const attention_stage: { render(props: { model: Model<PaneTraits>; picture: PictureColumn }): Follower<ShownAttention> };
declare const attention_grid: { render(props: { model: Model<PaneTraits> }): Follower<ShownAttention> };
declare const attention_tokens: { render(props: { model: Model<PaneTraits> }): Follower<ShownAttention> };
declare const attention_distance: { render(props: object): Follower<ShownAttention> };
declare const layers_one: {
  render(props: Props<PaneTraits>): { node: HTMLElement; update(one: any, arrays: Unpacked[]): void };
};
declare const layers_view: ViewPart<PaneTraits>;
declare const information_chart: {
  render(given: { choose: (block: string) => void; point: (block: string) => void }): {
    node: SVGElement;
    draw(answer: Answer, chosen: string): void;
    give(value: number, spread: number | null): string;
    words(point: Probed, answer: Answer): string;
  };
};
declare const information_view: ViewPart<PaneTraits>;
declare const compare_map: { render(props: Props<PaneTraits>): { update(): void; paint(index: number): void; stop(): void } };
declare const compare_totals: { render(props: Props<PaneTraits>): { update(pane: any): void; stop(): void } };
declare const compare_grids: { render(props: Props<PaneTraits> & { picture: PictureColumn }): { update(pane: any): void } };
declare const compare_view: ViewPart<PaneTraits>;
declare const blocks_view: ViewPart<PaneTraits>;
declare const blocks_widths: { render(props: Props<PaneTraits>): { mark(): void; update(pane: any): void } };
declare const picture_column: { render(props: Props<FeatureTraits>): PictureColumn };
declare const code_view: { render(props: Props<CodeTraits> & { kinds?: { label: string; kinds: string[] }[] }): () => void };

/** A saved page: widgets/recorded.py writes it, recorded.js shows it. Bytes are {base64: text}. */
interface Recording {
  state: Record<string, any>;
  blocks: Record<string, Record<string, any>>;
  panes: Record<string, Record<string, Record<string, any>>>;
}
declare const explorer: Part<AppTraits>;

// The design lab: traits of design_lab.py, filled by exploring/lab_shown.py.

/** A range as a slider of two thumbs, from one of its stops to another. */
interface LabRange {
  key: string;
  label: string;
  stops: string[];
  at: number[];
  text: string;
}

interface LabNet {
  space: number;
  own: boolean;
  macs: number;
  error: number | null;
  inside: boolean;
  x: number;
  y: number | null;
  shade: number | null;
  cells: string[];
  label: string;
}

interface LabAxis { label: string; unit: number; percent: boolean; band: number[] }

interface LabCurves {
  budget_text: string;
  across: LabAxis;
  up: LabAxis;
  axes: { what: string; value: string; options: Choice[] }[];
  shades: string;
  front: [number, number][];
  edf: { name: string; steps: [number, number][] }[];
  edf_words: string;
}

interface LabChosen {
  number: number;
  title: string;
  space: string;
  note: string;
  turned: boolean;
  trainable: boolean;
  failed: string;
  keys: Key[];
  blocks: number[];
  line: { first: number; slope: number } | null;
  ghost: number[];
  rows: { label: string; value: string }[];
  trunk: string;
  longer: string;
}

interface LabTraits {
  status: string;
  error: string;
  busy: boolean;
  progress: number;
  steps: Partial<{ words: string[]; at: number; undo: string; redo: string }>;
  code: string;
  inside: string;
  head: { name: string; spaces: Choice[]; facts: string; marks: { name: string; count: number }[]; totals: { value: string; label: string }[]; verdict: string };
  controls: { spaces: { name: string; note: string; ranges: LabRange[] }[]; budget: LabRange; task: { what: string; value: string; options: Choice[] }[]; each: number };
  counts: { waiting: number; words: string; refusals: string };
  nets: LabNet[];
  curves: LabCurves;
  net: LabChosen;
}

declare const lab_head: Part<LabTraits>;
declare const lab_ranges: Part<LabTraits>;
declare const lab_scatter: { render(props: Props<LabTraits> & { tools: HTMLElement }): () => void };
declare const lab_edf: Part<LabTraits>;
declare const lab_table: Part<LabTraits>;
declare const lab_line: Part<LabTraits>;
declare const lab_net: Part<LabTraits>;
