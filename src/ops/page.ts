// The frame of every page: head, navigation, foot; and the answer that carries it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AssetUrls } from './assets.ts';
import { userOf } from './gate.ts';
import { type Html, html } from './html.ts';
import { opsUrl } from './urls.ts';

export interface Page {
  title: string;
  main: Html;
  /** The entry of the navigation that it belongs to. */
  nav?: NavPath;
  /** It renews itself while it is visible. */
  isLive?: boolean;
  /** How often. Default: 10 s. */
  renewSeconds?: number;
  /** Default: 200. */
  status?: number;
}

type NavPath = (typeof navigation)[number][0];
const navigation = [
  ['', 'Overview'],
  ['/events', 'Events'],
  ['/dead-letters', 'Dead letters'],
  ['/rejections', 'Rejections'],
  ['/requests', 'Live requests'],
  ['/actions', 'Actions'],
] as const;

/** Answers with the page. */
export type SendPage = (request: FastifyRequest, reply: FastifyReply, page: Page) => FastifyReply;

export function createSendPage(assets: AssetUrls): SendPage {
  return (request, reply, page) =>
    reply
      .code(page.status ?? 200)
      .type('text/html; charset=utf-8')
      .send(`<!doctype html>\n${frame(request, page, assets).text}`);
}

// `open`: what a person has opened stays open when the page renews itself.
const htmxConfig = JSON.stringify({ history: false, includeIndicatorCSS: false, morphIgnore: ['open'] });

function frame(
  request: FastifyRequest,
  { title, main, nav, isLive, renewSeconds }: Page,
  assets: AssetUrls,
): Html {
  const user = userOf(request);
  const renewal = isLive
    ? html`hx-get="${request.url}" hx-trigger="ops-renew" hx-select="#main" hx-swap="outerMorph" ${renewSeconds !== undefined && html`data-renew-seconds="${renewSeconds}"`}`
    : undefined;
  return html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta name="htmx-config" content="${htmxConfig}">
<title>${title} · Postbell</title>
<link rel="icon" href="${assets.icon}" type="image/svg+xml">
<link rel="stylesheet" href="${assets.css}">
<script src="${assets.htmx}" defer></script>
<script src="${assets.js}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
${user && header(nav, user.name, user.role)}
<main id="main" tabindex="-1" ${renewal}>
${main}
</main>
${user && help}
</body>
</html>
`;
}

function header(nav: NavPath | undefined, name: string, role: string): Html {
  const links = navigation.map(
    ([path, text]) =>
      html`<li><a href="${opsUrl(path)}" ${path === nav && html`aria-current="page"`}>${text}</a></li>`,
  );
  return html`<header class="top">
<a class="brand" href="${opsUrl('')}"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a6 6 0 0 0-6 6v4l-2 3v1h16v-1l-2-3V9a6 6 0 0 0-6-6Z"/><path d="M9.8 19a2.3 2.3 0 0 0 4.4 0Z"/></svg>Postbell</a>
<nav aria-label="Pages"><ul>${links}</ul></nav>
<div class="account">
<button type="button" id="live" class="quiet" hidden aria-pressed="true">Live</button>
<button type="button" id="keys" class="quiet" hidden aria-haspopup="dialog" aria-label="Keyboard shortcuts">?</button>
<span class="who">${name}${role === 'reader' && html` <span class="tag">read only</span>`}</span>
<form method="post" action="${opsUrl('/logout')}"><button class="quiet">Sign out</button></form>
</div>
</header>`;
}

const help = html`<dialog id="help" aria-labelledby="help-title">
<h2 id="help-title">Keyboard shortcuts</h2>
<dl class="keys">
<dt><kbd>/</kbd></dt><dd>go to the search</dd>
<dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous row</dd>
<dt><kbd>Enter</kbd></dt><dd>open the row</dd>
<dt><kbd>r</kbd></dt><dd>renew the page</dd>
<dt><kbd>?</kbd></dt><dd>this list</dd>
</dl>
<form method="dialog"><button>Close</button></form>
</dialog>`;
