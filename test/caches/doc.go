// Package caches puts real caches around the gateway: nginx and Varnish in front
// of it, and between it and the site. Visitors of different states send
// interleaved requests, from browsers with caches of their own; nobody may get,
// or have revived, a page made for another state, and a cache behind the gateway
// must work as well as behind a bare Caddy.
//
//	go test ./test/caches                       everything, about three minutes
//	go test ./test/caches -run CrossState -v    with the table of what was sent and hit
//	go test ./test/caches -run Rows             the gateway alone
//
// Files named shared_… need "cache shared".
//
// Without nginx and varnishd (apt-get install nginx-light varnish) the tests
// skip on a developer's machine and fail where CI=true. Both run in the
// foreground, from a temporary folder, on loopback, and end with the test.
package caches
