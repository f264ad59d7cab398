package child

import (
	"crypto/tls"
	"net/http"

	"github.com/consentgate/consentgate/test/client"
)

// Client returns a client that speaks one protocol. The certificates are the
// process's own: nobody vouches for them.
func Client(p client.Proto) *http.Client {
	c := client.New(p, &tls.Config{InsecureSkipVerify: true})
	if tr, ok := c.Transport.(*http.Transport); ok {
		tr.ReadBufferSize = 64 << 10
	}
	return c
}
