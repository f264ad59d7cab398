// Package protocol holds the tests of the gateway as a part of the HTTP
// exchange: every row of the contract of the response writer (A1 to A25) over
// HTTP/1.1 without TLS, HTTP/1.1, 2 and 3 with it, and with each of the handlers
// of Caddy that wrap a response around it or inside it; what it changes of the
// headers, against the same Caddy without it and against docs/headers.md; sites
// that answer as no server should.
//
//	go test ./test/protocol                                 everything, under a minute
//	go test ./test/protocol -run TestRows/main/A8           one row
//	go test ./test/protocol -run TestRows/main/.*/h3        one protocol
//	go test ./test/protocol -run TestHeaderDiff -v          prints what differs, and how often
package protocol
