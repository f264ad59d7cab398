// Package policy knows what may run. A person writes a policy file; Load compiles
// it, together with the embedded vendor catalog, into an immutable Policy; Bind
// joins it with one visitor's consent.State; the resulting Bound answers, without
// I/O or allocation, whether a URL, an inline script or a cookie is allowed.
package policy
