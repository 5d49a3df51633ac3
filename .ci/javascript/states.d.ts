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

interface BarTraits {
  state: Partial<{
    name: string;
    family: string;
    groups: { family: string; models: string[] }[];
    trained: string | null;
    custom: boolean;
    facts: string[];
    device: string;
    devices: Choice[];
    totals: { value: string; label: string }[];
  }>;
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
  shares: Record<string, number>;
  values: Record<string, string>;
  heads: Choice[];
  kind: "map" | "sequence" | "tokens" | "vector";
}

type MapState = Partial<{ input: string; blocks: Block[]; color_by: string; colors: Choice[] }>;

interface MapTraits {
  state: MapState;
  picture: string;
  selected: string;
}

interface HeadChoice {
  name: string;
  title: string;
  fits: boolean;
  detail: string;
}

interface AttachedHead {
  id: string;
  block: string;
  here: boolean;
  title: string;
  classes: string;
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
    attached: AttachedHead[];
    num_classes: number;
  }>;
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
    example: string;
    ran: boolean;
    run_text: string;
    predictions: { label: string; share: number; value: string }[];
    prediction_title: string;
  }>;
  picture: string;
  table: Partial<{ columns: string[]; rows: string[][] }>;
  pixels: DataView | null;
  frames: string[];
  frame: number;
  busy: boolean;
}

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
  busy: boolean;
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
declare const model_bar: Part<BarTraits>;
declare const block_map: Part<MapTraits>;
declare const block_panel: Part<PanelTraits>;
declare const design_panel: Part<DesignTraits>;
declare const views: Part<ViewsTraits>;
declare const feature_grid: ViewPart<FeatureTraits>;
declare const why_view: ViewPart<PaneTraits>;
declare const attention_view: ViewPart<PaneTraits>;
declare const layers_view: ViewPart<PaneTraits>;
declare const information_view: ViewPart<PaneTraits>;
declare const compare_view: ViewPart<PaneTraits>;
declare const blocks_view: ViewPart<FeatureTraits>;
declare const picture_column: { render(props: Props<FeatureTraits>): PictureColumn };
declare const code_view: Part<CodeTraits>;
