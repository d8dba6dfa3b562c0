// Hands the answer of an authorization server (RFC 6749, section 4.1.2) to the page that asked for it.
"use strict";

{
  const pending = window.opener && window.opener.swaggerUIRedirectOauth2;
  if (pending) {
    const { auth, redirectUrl, state } = pending;
    const text = window.location.hash.slice(1) || window.location.search.slice(1);
    const answer = Object.fromEntries(new URLSearchParams(text));
    const isCodeFlow = /^(accessCode|authorizationCode|authorization_code)$/.test(
      auth.schema.get("flow"),
    );
    const refuse = (message) =>
      pending.errCb({ authId: auth.name, source: "auth", level: "error", message });

    if (answer.state !== state) {
      // Section 10.12: an answer to a question that was not asked is an attack.
      refuse("The answer has another state than the request.");
    } else if (answer.error) {
      refuse([answer.error, answer.error_description, answer.error_uri].filter(Boolean).join(": "));
    } else if (!isCodeFlow) {
      pending.callback({ auth, token: answer, isValid: true, redirectUrl });
    } else if (answer.code) {
      delete pending.state;
      auth.code = answer.code;
      pending.callback({ auth, redirectUrl });
    } else {
      refuse("The answer has no code.");
    }
    window.close();
  }
}
