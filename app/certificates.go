package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/pki"
)

// certificates serves the TLS certificate and keeps it good: it is issued anew
// before it ends, and, with a publish domain, when a region appears whose
// wildcard it lacks (a wildcard covers one label). An operator's own
// certificate is read again at the same times, so it can be replaced in place.
type certificates struct {
	dir   string
	names pki.Names
	// own holds the operator's files, if any.
	ownCert, ownKey string
	clock           *clock
	logger          *slog.Logger
	// established says that the folder is not a new one: clients may trust the
	// authority that was there. From the first load on it is so.
	established bool

	current atomic.Pointer[tls.Certificate]
	trust   atomic.Pointer[string] // the file that clients need; "" for none
	mu      sync.Mutex             // protects regions
	regions map[string]bool
	changed chan struct{}
}

// certificateCheck is how often files are looked at again.
const certificateCheck = 6 * time.Hour

func (c *certificates) load() error {
	names := c.names
	c.mu.Lock()
	names.Regions = slices.Sorted(maps.Keys(c.regions))
	c.mu.Unlock()
	// The local authority is made in any case: ca.pem is part of what a data
	// folder promises.
	files, err := pki.Ensure(c.dir, names, c.clock.Now(), c.clock.Doubted())
	if err != nil {
		return err
	}
	c.tell(files)
	if c.ownCert != "" {
		files.CertFile, files.KeyFile = c.ownCert, c.ownKey
	}
	cert, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return fmt.Errorf("load the server certificate: %w", err)
	}
	c.current.Store(&cert)
	return c.writeTrust(&cert, files.CAFile)
}

// writeTrust keeps the file current that clients are pointed to. Our own authority is
// none of the system's, whoever says so.
func (c *certificates) writeTrust(cert *tls.Certificate, caFile string) error {
	path := ""
	switch {
	case c.ownCert == "":
		ca, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("read the authority: %w", err)
		}
		if path, err = writeTrust(c.dir, ca); err != nil {
			return err
		}
	case believed(c.dir, cert, c.clock.Now()):
		if err := removeTrust(c.dir); err != nil {
			return err
		}
	default:
		var err error
		if path, err = writeTrust(c.dir, chainOf(cert)); err != nil {
			return err
		}
	}
	c.trust.Store(&path)
	return nil
}

// tell says what clients have to know about the authority.
func (c *certificates) tell(files pki.Certs) {
	known := c.established
	c.established = true
	if !known {
		return
	}
	switch files.Authority {
	case pki.AuthorityFound:
	case pki.AuthorityMade:
		c.logger.Warn("the files of the certificate authority were missing; a new authority was made: give its certificate to every client that trusts the former one, or stop and restore both files",
			"missing", files.CAFile, "missing_key", files.CAKeyFile)
	case pki.AuthorityReplaced:
		c.logger.Warn("the certificate authority was near its end; a new one was made: give its certificate to every client", "file", files.CAFile)
	case pki.AuthorityCopied:
		c.logger.Warn("the certificate of the authority was missing or another one; it was written again from the file of its key: clients need nothing",
			"missing", files.CAFile, "from", files.CAKeyFile)
	case pki.AuthorityBackdated:
		c.logger.Warn("the certificate of the authority began in the future, since the clock was ahead when it was made or is behind now; it was written again with the same key and an earlier beginning: clients that are refused need the file",
			"file", files.CAFile)
	case pki.AuthorityWithoutKey:
		c.logger.Warn("the key of the certificate authority is missing: restore it, or the server certificate cannot be renewed",
			"missing", files.CAKeyFile)
	}
}

// region makes the certificate good for endpoints in a region. It returns at
// once; the certificate follows within milliseconds.
func (c *certificates) region(name string) {
	if c.names.PublishDomain == "" {
		return
	}
	c.mu.Lock()
	known := c.regions[name]
	c.regions[name] = true
	c.mu.Unlock()
	if !known {
		c.again()
	}
}

// again has the certificate looked at soon.
func (c *certificates) again() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// run looks after the certificate until ctx ends. When it cannot be renewed the
// one there is goes on being served.
func (c *certificates) run(ctx context.Context) error {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.changed:
		}
		if err := c.load(); err != nil {
			c.logger.Error("the server certificate could not be renewed; the present one stays in use", "error", err)
		}
	}
}

// authenticated returns the suites for TLS 1.2 that encrypt and authenticate in one:
// those that do it one after the other (CBC) have been attacked again and again. TLS
// 1.3 has no others.
func authenticated() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		if !strings.Contains(s.Name, "_CBC_") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (c *certificates) tlsConfig() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   authenticated(),
		NextProtos:     []string{"h2", "http/1.1"},
	}
}
