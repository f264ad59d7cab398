// Stands in for the LinkedIn Insight tag.
(function () {
  if (!window._linkedin_data_partner_ids) return;
  document.cookie = 'li_fat_id=11112222-3333-4444-5555-666677778888; path=/; max-age=2592000';
  function send(call) {
    new Image().src = 'https://px.ads.linkedin.com/collect/?v=2&fmt=js&pid=' + window._linkedin_data_partner_ids[0] + (call ? '&conversionId=' + call[1].conversion_id : '');
  }
  send();
  (window.lintrk && window.lintrk.q || []).forEach(send);
  window.lintrk = function (a, b) { send([a, b]); };
})();
