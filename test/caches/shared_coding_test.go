package caches

import (
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// A cache may key on whether a client takes gzip, if the site sends nothing
// else. Pages for everybody do not come in codings the site never used.
func TestSharedKeepsTheSitesCoding(t *testing.T) {
	for _, m := range []mode{bare, shared} {
		s := build(t, topology{before: nginxURL}, m, serve(t, things()))
		for _, accepted := range []string{"gzip, deflate, br, zstd", "gzip", "identity"} {
			want := "gzip"
			if accepted == "identity" {
				want = ""
			}
			a := gate.Ask(t, s.client, "GET", s.base+"/p/gzip", "Accept-Encoding", accepted, "Accept", "text/html")
			if got := a.Header.Get("Content-Encoding"); got != want {
				t.Errorf("%s, %s: coding %q", m, accepted, got)
			}
			if body, err := decode(a); err != nil || !strings.HasSuffix(body, "</html>\n") {
				t.Errorf("%s, %s: %v, %q", m, accepted, err, body)
			}
		}
	}
}
