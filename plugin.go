// Package consentgate is a Caddy plugin that holds back a site's third-party
// resources and non-essential cookies until the visitor has granted them.
//
// Build it into Caddy with
//
//	xcaddy build --with github.com/consentgate/consentgate
//
// and put the directive consent in front of the site. The directive and its
// options are documented in package caddymodule; the ready-made binary is
// cmd/consentgate.
package consentgate

import (
	// Registers the handler and the directive.
	_ "github.com/consentgate/consentgate/caddymodule"
)
