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
declare const model_bar: Part<BarTraits>;
declare const block_map: Part<MapTraits>;
declare const block_panel: Part<PanelTraits>;
declare const design_panel: Part<DesignTraits>;
declare const feature_view: Part<FeatureTraits>;
declare const code_view: Part<CodeTraits>;
