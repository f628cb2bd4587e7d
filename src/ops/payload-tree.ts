// A payload as a tree that opens and closes without JavaScript, bounded in nodes, depth and text.
import { numberText } from '../exact-json.ts';
import { type Html, html } from './html.ts';
import { number } from './parts.ts';

const maxNodes = 3_000;
const maxDepth = 60;
const maxTextLength = 2_000;
/** Objects below this depth are closed at first. */
const openDepth = 3;

/** @param payload of `parseExactly` */
export function payloadTree(payload: unknown): Html {
  const budget = { nodes: maxNodes };
  const tree = html`<div class="tree">${node(undefined, payload, 0, budget)}</div>`;
  if (budget.nodes > 0) return tree;
  return html`${tree}<p class="hint">Only the first ${number(maxNodes)} values are in the tree; the raw text has more.</p>`;
}

function node(key: string | undefined, value: unknown, depth: number, budget: { nodes: number }): Html {
  budget.nodes--;
  const name = key !== undefined && html`<span class="key">${key}</span> `;
  const written = numberText(value);
  if (written !== undefined) return html`<div class="leaf">${name}<span class="num">${written}</span></div>`;
  if (value === null || typeof value === 'boolean')
    return html`<div class="leaf">${name}<span class="word">${String(value)}</span></div>`;
  if (typeof value === 'string') return html`<div class="leaf">${name}${textValue(value)}</div>`;
  const entries = Object.entries(value as object);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (entries.length === 0)
    return html`<div class="leaf">${name}<span class="mark">${open}${close}</span></div>`;
  const children: Html[] = [];
  for (const [childKey, child] of entries) {
    if (budget.nodes <= 0 || depth >= maxDepth) break;
    children.push(node(childKey, child, depth + 1, budget));
  }
  const left = entries.length - children.length;
  return html`<details ${depth < openDepth && html`open`}><summary>${name}<span class="mark">${open} ${number(entries.length)} ${close}</span></summary>
<div class="branch">${children}${left > 0 && html`<div class="leaf hint">… ${number(left)} more</div>`}</div></details>`;
}

function textValue(text: string): Html {
  if (text.length <= maxTextLength) return html`<span class="text">${JSON.stringify(text)}</span>`;
  const more = number(text.length - maxTextLength);
  return html`<span class="text">${JSON.stringify(text.slice(0, maxTextLength))}</span> <span class="hint">${more} more characters</span>`;
}
