// Command consentgate is Caddy with the consent directive built in: one binary
// that serves, proxies and enforces consent.
//
//	consentgate run --config Caddyfile
//
// Its subcommands and flags are Caddy's, and consent-trace, which shows what is
// held in a page and why.
package main

import (
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/consentgate/consentgate"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	caddy.CustomBinaryName = "consentgate"
	caddy.CustomVersion = versionLine()
	caddycmd.Main()
}

// versionLine is what stands before Caddy's own version in "consentgate version".
func versionLine() string {
	own := version
	if info, ok := debug.ReadBuildInfo(); ok && own == "" {
		own = info.Main.Version // "(devel)", or what "go install …@version" built
	}
	return "consentgate " + own + " on caddy"
}
