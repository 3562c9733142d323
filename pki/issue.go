package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// newAuthority makes a self-signed authority and returns it with its key as
// PEM.
func newAuthority(now time.Time) (*authority, []byte, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	// The name carries part of the key's hash: clients that trust several
	// installations can tell their authorities apart.
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the authority's public key: %w", err)
	}
	sum := sha256.Sum256(spki)
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Intertie"}, CommonName: "Intertie local CA " + hex.EncodeToString(sum[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs server certificates, no further authority
		SubjectKeyId:          sum[:20],
	}
	a, err := (&authority{key: key}).sign(tmpl)
	return a, keyPEM, err
}

// backdated returns the authority with a certificate that begins before now and is
// otherwise the same, and its key as PEM. Clients that know only the one before
// accept what this one signs as soon as they accept that one.
func (a *authority) backdated(now time.Time) (*authority, []byte, error) {
	key, err := encodeKey(a.key)
	if err != nil {
		return nil, nil, err
	}
	tmpl := *a.cert
	tmpl.NotBefore = now.Add(-backdate)
	if tmpl.SerialNumber, err = newSerial(); err != nil {
		return nil, nil, err
	}
	next, err := a.sign(&tmpl)
	return next, key, err
}

// sign returns the authority with a certificate like tmpl, which its own key signs.
func (a *authority) sign(tmpl *x509.Certificate) (*authority, error) {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("create the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("create the authority: %w", err)
	}
	return &authority{cert: cert, key: a.key, pem: pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})}, nil
}

// issue makes a server certificate for hosts and returns it with its key, both
// PEM. In doubt about now it is good from the authority's beginning on.
func (a *authority) issue(hosts []string, now time.Time, doubted bool) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	end := now.Add(serverValidity)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	begin := now.Add(-backdate)
	if doubted && a.cert.NotBefore.Before(begin) {
		begin = a.cert.NotBefore
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Intertie"}, CommonName: "Intertie server"},
		NotBefore:    begin,
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip.AsSlice())
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue the server certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}), keyPEM, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate a key: %w", err)
	}
	keyPEM, err := encodeKey(key)
	return key, keyPEM, err
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// newSerial returns a positive random number of 126 bits; RFC 5280 asks for
// unique, positive and at most 20 bytes.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// parseCertificate returns the first certificate in b, and it alone as PEM.
func parseCertificate(b []byte) (*x509.Certificate, []byte, error) {
	for {
		var block *pem.Block
		block, b = pem.Decode(b)
		if block == nil {
			return nil, nil, errors.New("holds no certificate")
		}
		if block.Type != pemCertificate {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("parse the certificate: %w", err)
		}
		return cert, pem.EncodeToMemory(block), nil
	}
}
