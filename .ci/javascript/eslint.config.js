// What a view must not do, and what is most likely a mistake. Undeclared names are found by the type checker.
import js from "@eslint/js";

const HTML = "names come from people's models and files: text goes in as text only";
const FETCH = "nothing is fetched: what a view shows comes with the message";

export default [
  js.configs.recommended,
  { files: ["**/common.js", "**/pixels.js", "**/controls.js", "**/map_layout.js", "**/app.js", "**/recorded.js"], languageOptions: { sourceType: "script" } }, // they stand in front of the others' text
  {
    files: ["**/*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-undef": "off",
      "no-unused-vars": ["error", { vars: "local" }],
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-globals": ["error", ...["fetch", "XMLHttpRequest", "WebSocket"].map((name) => ({ name, message: FETCH }))],
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({ property, message: HTML })),
        { object: "document", property: "write", message: HTML },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "ImportDeclaration, ImportExpression", message: "loaded from a blob, a part can import nothing" },
        { selector: "CallExpression[callee.object.name='model'][callee.property.name='on']:not(FunctionDeclaration[id.name=/^(watch|hear)$/] *)",
          message: "watch() and hear() take their listeners off again" },
      ],
    },
  },
];
