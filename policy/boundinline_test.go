package policy

import (
	"testing"

	"github.com/consentgate/consentgate/consent"
)

// TestBoundInline: signatures of the policy file work as those of the catalog
// do, and grants decide.
func TestBoundInline(t *testing.T) {
	p := mustParse(t, `
vendors:
  - id: own-chat
    name: Own chat
    category: functional
    inline: {loader: ['load Chat( "example" )'], call: [ownChat.open(]}
  - {id: hotjar, inline: {loader: [heatmap.start(]}}
  - {id: matomo, action: allow}
`)
	const (
		loader = "var a = 1; loadChat('example')"
		call   = "ownChat . open ( 1 )"
		heat   = "heatmap.start({})"
		meta   = "!function(f,b,e,v,n,t,s){if(f.fbq)return;n=f.fbq=function(){};t=b.createElement(e);t.src='https://connect.facebook.net/en_US/fbevents.js'}(window,document,'script');fbq('init','1')"
		plain  = "document.title = 'x'"
	)
	for _, test := range []struct {
		state        consent.State
		code, vendor string
		action       Action
		calls        []string
	}{
		{consent.State{}, loader, "own-chat", Block, nil},
		{grant(p, "functional"), loader, "", Allow, nil},
		{consent.State{}, call, "", Allow, []string{"own-chat"}},
		{grant(p, "functional"), call, "", Allow, nil},
		{grant(p, "functional"), heat, "hotjar", Block, nil},
		{grantAll(p), heat, "", Allow, nil},
		{consent.State{}, meta, "meta-pixel", Block, nil},
		{grant(p, "analytics"), meta, "meta-pixel", Block, nil},
		{grant(p, "marketing"), meta, "", Allow, nil},
		{consent.State{}, "_paq.push(['trackPageView']);", "", Allow, nil},
		{consent.State{}, plain, "", Allow, nil},
	} {
		d, calls := p.Bind(test.state, page).Inline([]byte(test.code), nil)
		if d.Action != test.action || vendorOf(d) != test.vendor {
			t.Errorf("%s: %s %q, want %s %q", test.code, d.Action, vendorOf(d), test.action, test.vendor)
		}
		if len(calls) != len(test.calls) || len(calls) == 1 && calls[0].ID != test.calls[0] {
			t.Errorf("%s: calls %v, want %v", test.code, calls, test.calls)
		}
	}
}
