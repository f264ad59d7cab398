// Stands in for the Google Ads conversion script.
(function () {
  document.cookie = '_gcl_au=1.1.1234567890.1760000000; path=/; max-age=7776000';
  new Image().src = 'https://googleads.g.doubleclick.net/pagead/viewthroughconversion/987654321/?label=view';
})();
