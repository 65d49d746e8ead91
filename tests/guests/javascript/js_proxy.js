// JavaScript answering HTTP by the engine's `fetch` event, which is `wasi:http/proxy` of WASI 0.2. `tests/guests/README.md` says what is at
// which path.
addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  const respond = (body, kind, status = 200) => new Response(body, { status, headers: { 'content-type': kind, 'x-guest': 'javascript' } });
  switch (url.pathname) {
    case '/fail':
      throw new Error('as asked');
    case '/echo':
      return respond(request.body, request.headers.get('content-type') ?? 'application/octet-stream');
    case '/digest': {
      const body = await request.arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
      const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      return respond(JSON.stringify({ sha256, length: body.byteLength }), 'application/json');
    }
    case '/hello': {
      const asked = { method: request.method, query: Object.fromEntries(url.searchParams), agent: request.headers.get('user-agent') };
      return respond(JSON.stringify({ hello: 'javascript', ...asked }), 'application/json');
    }
    default:
      return respond(`no ${url.pathname}\n`, 'text/plain', 404);
  }
}
