// Package e2e holds the tests that only a real browser, or a real Prometheus,
// can judge. A headless Chromium visits the example site (test/site) and saved
// pages, with and without the gateway in front; every host but the site's own
// is mapped to a sink on loopback, which answers as the vendors would and
// writes down every connection and every request. Nothing leaves the machine.
//
//	go test ./test/e2e                         everything, about eight minutes on two cores
//	go test ./test/e2e -run TestExampleSite    one suite
//	CONSENTGATE_E2E_SHOTS=/tmp/shots go test ./test/e2e -run TestExampleSite
//	                                           keeps the screenshots
//	CONSENTGATE_E2E_CASES='sink: svg' go test ./test/e2e -run TestDifferential -v
//	                                           only some cases of test/cases, by a regular expression
//
// Without /usr/bin/chromium (or another name Chromium and Chrome go by) the
// tests skip on a developer's machine and fail where CI=true.
package e2e
