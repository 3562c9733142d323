package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/intertie/intertie/atomicfile"
)

// The files of the authority in the folder.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca-key.pem"
)

const (
	serverFile    = "server.pem"
	serverKeyFile = "server-key.pem"

	// caValidity is long because every client has to be told about a new
	// authority.
	caValidity = 10 * 365 * 24 * time.Hour
	// serverValidity stays below the 398 days that browsers accept.
	serverValidity = 397 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is replaced. It
	// leaves a quarter for an installation that is rarely restarted.
	renewBefore = 90 * 24 * time.Hour
	// backdate lets a client whose clock is a little behind accept a
	// certificate that was issued a moment ago.
	backdate = time.Hour
)

// Certs names the files of an installation's certificates, each PEM.
type Certs struct {
	CAFile    string // the authority to trust
	CAKeyFile string // its key, 0600, unless that is lost
	CertFile  string // the server certificate
	KeyFile   string // its key, 0600

	// Authority is how the authority was found.
	Authority Authority
}

// Authority is how [Ensure] found the authority, and what it did about it.
type Authority uint8

const (
	// AuthorityFound as it has to be.
	AuthorityFound Authority = iota
	// AuthorityMade: there was none. No client trusts the new one yet.
	AuthorityMade
	// AuthorityReplaced: it was near its end. No client trusts the new one yet.
	AuthorityReplaced
	// AuthorityCopied: CAFile was missing, or not the certificate of the key, and
	// was written again. Clients that trust the authority need nothing.
	AuthorityCopied
	// AuthorityBackdated: it was not valid yet. It has the key and the end that it had,
	// and clients that trust its former certificate need nothing, but its beginning is
	// before now: a clock that was ahead had made it.
	AuthorityBackdated
	// AuthorityWithoutKey: its key is missing. All goes on until a server
	// certificate has to be issued, which then fails.
	AuthorityWithoutKey
)

// Ensure returns the certificates in dir, making or renewing what is missing,
// near its end, or does not carry all of names. The folder is created with
// mode 0700 when it does not exist.
//
// An authority that is still good is never replaced: when its key is lost and
// a server certificate has to be issued, Ensure fails and says so, since a new
// authority is one that no client trusts. Each file is durable as a whole before
// the next one is written, and all before Ensure returns.
//
// With doubted, now may be far ahead. Then the authority is kept however old it is, and
// a server certificate that has to be issued is good from the authority's beginning on,
// so that it is good by the right clock too; the first call without replaces it.
//
// Only one process may call Ensure on a folder at a time.
func Ensure(dir string, names Names, now time.Time, doubted bool) (Certs, error) {
	hosts, err := names.hosts()
	if err != nil {
		return Certs{}, err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return Certs{}, fmt.Errorf("create the certificate folder: %w", err)
	}
	c := Certs{
		CAFile:    filepath.Join(dir, CAFile),
		CAKeyFile: filepath.Join(dir, CAKeyFile),
		CertFile:  filepath.Join(dir, serverFile),
		KeyFile:   filepath.Join(dir, serverKeyFile),
	}
	ca, found, err := ensureAuthority(c.CAFile, c.CAKeyFile, now, doubted)
	if err != nil {
		return Certs{}, err
	}
	c.Authority = found
	if serverGood(c, ca, hosts, now, doubted) {
		return c, nil
	}
	if ca.key == nil {
		return Certs{}, fmt.Errorf("renew the server certificate: %s is missing; restore it, or remove %s to make a new authority that every client must be told to trust",
			c.CAKeyFile, c.CAFile)
	}
	certPEM, keyPEM, err := ca.issue(hosts, now, doubted)
	if err != nil {
		return Certs{}, err
	}
	// A crash between the two leaves a pair that does not fit, which the next
	// Ensure takes as a reason to issue again.
	if err := atomicfile.Write(c.KeyFile, keyPEM, 0o600); err != nil {
		return Certs{}, err
	}
	if err := atomicfile.Write(c.CertFile, certPEM, 0o644); err != nil {
		return Certs{}, err
	}
	return c, nil
}

// authority is the CA certificate with its key; key is nil when only the
// certificate is left.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // cert as PEM
}

// ensureAuthority returns the authority, creating or replacing it when there is
// none or it is near its end.
func ensureAuthority(certPath, keyPath string, now time.Time, doubted bool) (*authority, Authority, error) {
	ca, err := loadAuthority(certPath, keyPath)
	if err != nil {
		return nil, 0, err
	}
	if ca != nil && (doubted || now.Add(renewBefore).Before(ca.cert.NotAfter)) {
		if ca.key == nil {
			return ca, AuthorityWithoutKey, nil
		}
		if now.Before(ca.cert.NotBefore) {
			ca, keyPEM, err := ca.backdated(now)
			if err != nil {
				return nil, 0, err
			}
			return ca, AuthorityBackdated, ca.write(certPath, keyPath, keyPEM)
		}
		if got, err := os.ReadFile(certPath); err == nil && bytes.Equal(got, ca.pem) {
			return ca, AuthorityFound, nil
		}
		return ca, AuthorityCopied, atomicfile.Write(certPath, ca.pem, 0o644)
	}
	found := AuthorityMade
	if ca != nil {
		found = AuthorityReplaced
	}
	ca, keyPEM, err := newAuthority(now)
	if err != nil {
		return nil, 0, err
	}
	return ca, found, ca.write(certPath, keyPath, keyPEM)
}

// write makes the authority durable. One file carries both halves, so there is no
// moment at which they do not fit.
func (a *authority) write(certPath, keyPath string, keyPEM []byte) error {
	if err := atomicfile.Write(keyPath, append(keyPEM, a.pem...), 0o600); err != nil {
		return err
	}
	return atomicfile.Write(certPath, a.pem, 0o644)
}

// loadAuthority returns nil when dir holds no authority, and an authority
// without key when only its certificate is left.
func loadAuthority(certPath, keyPath string) (*authority, error) {
	both, err := os.ReadFile(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		certPEM, err := os.ReadFile(certPath)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil //nolint:nilnil // "none yet" is an ordinary answer here
		}
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		cert, _, err := parseCertificate(certPEM)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate %s: %w", certPath, err)
		}
		return &authority{cert: cert, pem: certPEM}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	if err := tighten(keyPath); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(both, both)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key %s: %w", keyPath, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read the authority's key %s: %T cannot sign", keyPath, pair.PrivateKey)
	}
	cert, certPEM, err := parseCertificate(both)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key %s: %w", keyPath, err)
	}
	return &authority{cert: cert, key: signer, pem: certPEM}, nil
}

// serverGood reports whether the server certificate can go on being used.
// Whatever is wrong with it, the answer is the same: issue another.
func serverGood(c Certs, ca *authority, hosts []string, now time.Time, doubted bool) bool {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return false
	}
	if err := tighten(c.KeyFile); err != nil {
		return false
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return false
	}
	cert := pair.Leaf
	if cert.CheckSignatureFrom(ca.cert) != nil || now.Before(cert.NotBefore) {
		return false
	}
	if !doubted && cert.NotAfter.Sub(cert.NotBefore) > serverValidity+backdate {
		return false // issued in doubt
	}
	if !now.Add(renewBefore).Before(cert.NotAfter) {
		// In doubt there may be no better one, and no reason to fail for want of a
		// key. Otherwise the authority has more than renewBefore left here, so a new
		// certificate ends later than that: this cannot reissue at every start.
		if !doubted || ca.key != nil && cert.NotAfter.Before(ca.cert.NotAfter) {
			return false
		}
	}
	have := make(map[string]bool, len(cert.DNSNames)+len(cert.IPAddresses))
	for _, name := range cert.DNSNames {
		have[name] = true
	}
	for _, ip := range cert.IPAddresses {
		have[ip.String()] = true
	}
	for _, h := range hosts {
		if !have[h] {
			return false
		}
	}
	return true
}
