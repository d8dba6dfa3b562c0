// What the judges of the authorization server share: the browser of a user, the codes that they
// fetch with it, and the list of what was found, which is printed as JSON: `null` for what is right.

import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: false });

// Goes where it is sent, with the cookies of the servers, and fills in the forms on its way.
export class Browser {
  #cookies = new Map();

  constructor({ user, agrees = true }) {
    this.user = user;
    this.agrees = agrees;
    this.pages = [];
  }

  // Follows all that happens after a request, until it is sent to `target` or stays on a page.
  async visit(url, target) {
    let answer = await this.#send('GET', new URL(url), { site: 'cross-site' });
    for (let steps = 0; steps < 12; steps += 1) {
      const { location } = answer.headers;
      if (location) {
        const where = new URL(location, answer.url);
        if (`${where.origin}${where.pathname}` === target) return where;
        answer = await this.#send('GET', where, { site: 'same-origin' });
        continue;
      }
      this.pages.push(answer);
      const form = findForm(answer.body);
      if (!form) throw new Error(`Nothing to fill in: ${answer.status} ${answer.body}`);
      const action = new URL(form.action ?? answer.url, answer.url);
      answer = await this.#send('POST', action, { site: 'same-origin', body: this.#fill(form) });
    }
    throw new Error(`It never arrives at ${target}.`);
  }

  #fill({ inputs, buttons }) {
    const filled = new URLSearchParams();
    const known = { email: this.user.email, password: this.user.password };
    for (const { name, value = '' } of inputs) if (name) filled.append(name, known[name] ?? value);
    const wanted = this.agrees ? /allow|agree|accept/ : /deny|refuse|cancel/;
    const button = buttons.find(({ value }) => wanted.test(value ?? '')) ?? buttons[0];
    if (button?.name) filled.append(button.name, button.value ?? '');
    return filled.toString();
  }

  #send(method, url, { site, body }) {
    const headers = { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html' };
    const cookies = [...this.#cookies].map(([name, value]) => `${name}=${value}`);
    if (cookies.length > 0) headers.Cookie = cookies.join('; ');
    if (body !== undefined) {
      headers['Content-Type'] = 'application/x-www-form-urlencoded';
      headers['Content-Length'] = Buffer.byteLength(body);
      headers.Origin = url.origin;
    }
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, agent }, (response) => {
        for (const cookie of response.headers['set-cookie'] ?? []) this.#keep(cookie);
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () =>
          resolve({ url, status: response.statusCode, headers: response.headers, body: text }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  #keep(cookie) {
    const [pair, ...attributes] = cookie.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const age = attributes.find((attribute) => /^max-age=/i.test(attribute));
    if (value === '' || value === '""' || (age && Number(age.split('=')[1]) <= 0)) {
      this.#cookies.delete(name);
    } else {
      this.#cookies.set(name, value);
    }
  }
}

function findForm(page) {
  const form = /<form\b([^>]*)>(.*?)<\/form>/is.exec(page);
  if (!form) return undefined;
  const tags = (name) =>
    [...form[2].matchAll(new RegExp(`<${name}\\b([^>]*)>`, 'gi'))].map((tag) => attributesOf(tag[1]));
  return { ...attributesOf(form[1]), inputs: tags('input'), buttons: tags('button') };
}

function attributesOf(tag) {
  const found = [...tag.matchAll(/([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)];
  return Object.fromEntries(found.map(([, name, one, other]) => [name, unescaped(one ?? other)]));
}

function unescaped(text) {
  const names = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return text
    .replace(/&#(x?)([0-9a-f]+);/gi, (_, x, code) => String.fromCodePoint(parseInt(code, x ? 16 : 10)))
    .replace(/&(amp|lt|gt|quot);/g, (_, name) => names[name]);
}

// Tries each by itself and in order; one that fails does not end the others.
export async function judge(judgements) {
  const found = {};
  for (const [name, judgement] of Object.entries(judgements)) {
    try {
      await judgement();
      found[name] = null;
    } catch (error) {
      found[name] = describe(error);
    }
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
}

function describe(error) {
  const causes = [];
  for (let one = error; one && causes.length < 4; one = one.cause) {
    const details = [one.code, one.error, one.error_description].filter(Boolean).join(' ');
    causes.push(`${one.stack ?? JSON.stringify(one)} ${details}`);
  }
  return causes.join('\ncaused by: ');
}

// Fails unless the promise is refused with this error of OAuth.
export async function refusedAs(code, promise) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    if (error.error === code) return error;
    throw error;
  }
  throw new Error(`Not refused: ${JSON.stringify(answer)}`);
}

// What the test says: who the clients and the users are, and where the server is.
export const told = JSON.parse(process.argv[2]);
