package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/intertie/intertie/atomicfile"
	"github.com/intertie/intertie/pki"
)

// trustName is the file that clients are pointed to: the roots of the system and
// what it takes beside them to believe this server. The variables for it replace the
// system's trust instead of adding to it, so a file with our authority alone would
// keep the same shell from reaching anybody else.
const trustName = "trust.pem"

// systemBundles are the files in which systems keep their roots; the first that is
// there counts, as for crypto/x509.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL
	"/etc/ssl/cert.pem",                                 // macOS, BSD
}

// writeTrust makes the file in dir that lets clients believe what extra, as PEM, stands
// for, and returns its path.
func writeTrust(dir string, extra []byte) (string, error) {
	path := filepath.Join(dir, trustName)
	text := append(systemRoots(dir), extra...)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return path, nil
	}
	if err := atomicfile.Write(path, text, 0o644); err != nil {
		return "", fmt.Errorf("write what clients have to trust: %w", err)
	}
	return path, nil
}

// removeTrust removes the file, where clients need none.
func removeTrust(dir string) error {
	if err := os.Remove(filepath.Join(dir, trustName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what clients need not trust any more: %w", err)
	}
	return nil
}

// believed reports whether the roots of the system are enough for a certificate of a
// server with its data in dir.
func believed(dir string, cert *tls.Certificate, now time.Time) bool {
	roots, err := x509.SystemCertPool()
	if isOurs(dir, os.Getenv(envRoots)) {
		roots, err = x509.NewCertPool(), nil // those of the system are others
		roots.AppendCertsFromPEM(systemRoots(dir))
	}
	if err != nil {
		return false
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return false
	}
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	return err == nil
}

// envRoots names another file with the roots of the system.
const envRoots = "SSL_CERT_FILE"

// isOurs reports whether a file is one in dir that we tell clients to trust: a shell
// that has sourced admin.env, and starts the server, says that it has the system's
// roots.
func isOurs(dir, path string) bool {
	base := filepath.Base(path)
	if base != trustName && base != pki.CAFile {
		return false
	}
	folder, err := os.Stat(filepath.Dir(path)) //nolint:gosec // as in systemRoots
	if err != nil {
		return false
	}
	own, err := os.Stat(dir)
	return err == nil && os.SameFile(folder, own)
}

// systemRoots returns the roots of the system as PEM, or nothing where they are in no
// file.
func systemRoots(dir string) []byte {
	for _, path := range append([]string{os.Getenv(envRoots)}, systemBundles...) {
		if path == "" || isOurs(dir, path) {
			continue
		}
		if text, err := os.ReadFile(path); err == nil { //nolint:gosec // where the system, or who runs this, keeps its roots
			return append(bytes.TrimRight(text, "\n"), '\n')
		}
	}
	return nil
}

// chainOf is the PEM of a certificate with its chain.
func chainOf(cert *tls.Certificate) (text []byte) {
	for _, der := range cert.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
