// Stands in for a container that holds one analytics tag. A container is one
// unit: what it loads is its owner's choice, not the page's.
(function () {
  var id = new URL(document.currentScript.src).searchParams.get('id');
  new Image().src = 'https://www.googletagmanager.com/a?id=' + id + '&v=3&t=t';
  var layer = window.dataLayer = window.dataLayer || [];
  var push = layer.push;
  layer.push = function (entry) {
    if (entry && entry.event === 'lead') {
      new Image().src = 'https://www.googletagmanager.com/a?id=' + id + '&e=lead';
    }
    return push.apply(layer, arguments);
  };
})();
