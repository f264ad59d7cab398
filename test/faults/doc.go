// Package faults holds the tests of what networks and visitors do to the
// gateway: slow, sliced, cut and reset connections on either side of it (made by
// toxiproxy, which runs in the test's process), visitors who leave in the middle
// of a page, and reloads under open streams.
//
// Three promises are tested: nothing the visitor receives, however cut, loads
// from a host that is held back; no page that was cut looks complete; and all
// that a request took is given back.
//
//	go test ./test/faults                        everything, one to two minutes
//	go test ./test/faults -run TestCombinations -v
//	                                             with the number of combinations, and how they ended
//
// One cut nobody can see: a site that ends its pages by closing the connection
// (HTTP/1.0, or HTTP/1.1 without Content-Length and chunks) says nothing when it
// closes too early. Such a page looks complete behind Caddy without the gateway
// too. What the gateway sends of it is still held to the first promise.
package faults
