// A validatorUrl would send the document to a server elsewhere.
SwaggerUIBundle({
  url: '/openapi.yaml',
  dom_id: '#document',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
