// Starts Swagger UI with what the page says; a file of its own, so that the page needs no inline script.
"use strict";

{
  const element = document.getElementById("swagger-ui");
  const { redirectPath, oauth, ...parameters } = JSON.parse(element.dataset.settings);
  if (redirectPath) {
    parameters.oauth2RedirectUrl = window.location.origin + redirectPath;
  }
  const ui = SwaggerUIBundle({
    ...parameters,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
  });
  if (oauth) {
    ui.initOAuth(oauth);
  }
}
