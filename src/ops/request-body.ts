// The body of a captured request: as a tree or as fields, raw, and as hex; and the place where it stops being JSON.
import { isUtf8 } from 'node:buffer';
import type { CapturedRequest } from '../events/captures.ts';
import { parseExactly } from '../exact-json.ts';
import { type Html, html } from './html.ts';
import { findJsonError } from './json-error.ts';
import { copyable, number } from './parts.ts';
import { payloadTree } from './payload-tree.ts';

const maxHexBytes = 16_384;
const maxFields = 500;
const excerptChars = 40;

export function requestBody(captured: CapturedRequest): Html {
  return html`<section><h2>Body</h2>${bodyOf(captured)}</section>`;
}

function bodyOf(captured: CapturedRequest): Html {
  const { body, bodyBytes, outcome } = captured;
  if (body === null)
    return html`<p class="hint">${
      /too_large|no_secret|method|encoding/.test(outcome)
        ? 'Not read: the request was answered by its head.'
        : 'Not kept: it may hold a credential that cannot be removed from it.'
    }</p>`;
  if (body.length === 0) return html`<p class="hint">Empty.</p>`;
  const isCut = body.length < bodyBytes;
  const isText = !body.includes(0) && (isUtf8(body) || (isCut && isUtf8(withoutLastCharacter(body))));
  const text = isText ? body.toString('utf8') : undefined;
  const parsed = text !== undefined && !isCut ? readable(text, captured) : undefined;
  return html`${isCut && html`<p class="banner warn">The first ${number(body.length)} of ${number(bodyBytes)} bytes.</p>`}
${text === undefined && html`<p class="hint">No text: it is no UTF-8, or has a zero byte.</p>`}
${parsed}
${text !== undefined && html`<details ${!parsed?.text.includes('class="tree"') && html`open`}><summary>Raw</summary>${copyable(text, 'body')}</details>`}
<details ${text === undefined && html`open`}><summary>Hex</summary><pre class="body" tabindex="0">${hexDump(body)}</pre>
${body.length > maxHexBytes && html`<p class="hint">The first ${number(maxHexBytes)} bytes.</p>`}</details>`;
}

/** The cut may go through a character of up to 4 bytes. */
function withoutLastCharacter(body: Buffer): Buffer {
  let end = body.length - 1;
  while (end > body.length - 4 && (body[end]! & 0xc0) === 0x80) end--;
  return body.subarray(0, end);
}

/** The tree of JSON, the fields of a form, or why there is none. */
function readable(text: string, { headers }: CapturedRequest): Html | undefined {
  const type = headers['content-type']?.join() ?? '';
  if (/x-www-form-urlencoded/i.test(type) && !/^\s*[{[]/.test(text)) return formFields(text);
  if (!/json/i.test(type) && !/^\s*[{["]/.test(text)) return undefined;
  try {
    return payloadTree(parseExactly(text));
  } catch {
    return jsonProblem(text);
  }
}

function jsonProblem(text: string): Html {
  const error = findJsonError(text);
  if (!error) return html`<p class="hint">JSON, but nested too deeply for a tree.</p>`;
  const { at, line, column, expected } = error;
  const before = text.slice(Math.max(0, at - excerptChars), at);
  const after = text.slice(at + 1, at + excerptChars);
  return html`<p class="banner warn">No JSON: line ${number(line)}, column ${number(column)}, where ${expected} should be.</p>
<pre class="body">${before}<mark>${text[at] ?? ' (its end)'}</mark>${after}</pre>`;
}

function formFields(text: string): Html {
  const fields = [...new URLSearchParams(text)].slice(0, maxFields);
  return html`<dl class="facts tree">${fields.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** As `hexdump -C`: offset, 16 bytes, their ASCII. */
function hexDump(body: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(body.length, maxHexBytes); at += 16) {
    const bytes = body.subarray(at, at + 16);
    const hex = bytes.toString('hex').replaceAll(/../g, '$& ').padEnd(48);
    const ascii = bytes.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex} ${ascii}`);
  }
  return lines.join('\n');
}
