package graph

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intertie/intertie/access"
)

const (
	typePrincipal   = "#microsoft.graph.servicePrincipal"
	typeApplication = "#microsoft.graph.application"
	typeUser        = "#microsoft.graph.user"
)

type application struct {
	Context        string               `json:"@odata.context,omitempty"`
	ODataType      string               `json:"@odata.type,omitempty"`
	ID             string               `json:"id"`
	AppID          string               `json:"appId"`
	DisplayName    string               `json:"displayName"`
	Created        *string              `json:"createdDateTime"`
	SignInAudience string               `json:"signInAudience"`
	IdentifierURIs []string             `json:"identifierUris"`
	Passwords      []passwordCredential `json:"passwordCredentials"`
	Keys           []keyCredential      `json:"keyCredentials"`
}

type servicePrincipal struct {
	Context        string               `json:"@odata.context,omitempty"`
	ODataType      string               `json:"@odata.type,omitempty"`
	ID             string               `json:"id"`
	AppID          string               `json:"appId"`
	DisplayName    string               `json:"displayName"`
	AppDisplayName string               `json:"appDisplayName"`
	Owner          string               `json:"appOwnerOrganizationId"`
	Enabled        bool                 `json:"accountEnabled"`
	Created        *string              `json:"createdDateTime"`
	Type           string               `json:"servicePrincipalType"`
	Names          []string             `json:"servicePrincipalNames"`
	Passwords      []passwordCredential `json:"passwordCredentials"`
	Keys           []keyCredential      `json:"keyCredentials"`
}

// passwordCredential has SecretText only in the answer to addPassword.
type passwordCredential struct {
	Context     string  `json:"@odata.context,omitempty"`
	KeyID       string  `json:"keyId"`
	DisplayName *string `json:"displayName"`
	Hint        string  `json:"hint"`
	SecretText  *string `json:"secretText"`
	Start       *string `json:"startDateTime"`
	End         *string `json:"endDateTime"`
}

type keyCredential struct {
	KeyID       string  `json:"keyId"`
	DisplayName *string `json:"displayName"`
	Type        string  `json:"type"`
	Usage       string  `json:"usage"`
	Key         *string `json:"key"` // never given out in lists, as in Graph
	Start       *string `json:"startDateTime"`
	End         *string `json:"endDateTime"`
}

type list[T any] struct {
	Context string `json:"@odata.context"`
	Value   []T    `json:"value"`
}

// applicationID falls back to the client id for principals that were not made
// through Graph and have no application of their own.
func applicationID(p access.ServicePrincipal) string { return cmp.Or(p.ApplicationID, p.AppID) }

func applicationView(p access.ServicePrincipal) application {
	return application{
		ID: applicationID(p), AppID: p.AppID, DisplayName: p.DisplayName, Created: timestamp(p.Created),
		SignInAudience: "AzureADMyOrg", IdentifierURIs: []string{},
		Passwords: passwordViews(p), Keys: keyViews(p),
	}
}

func principalView(p access.ServicePrincipal) servicePrincipal {
	return servicePrincipal{
		ID: p.ObjectID, AppID: p.AppID, DisplayName: p.DisplayName, AppDisplayName: p.DisplayName,
		Owner: p.Tenant, Enabled: !p.Disabled, Created: timestamp(p.Created), Type: "Application",
		Names: []string{p.AppID}, Passwords: passwordViews(p), Keys: keyViews(p),
	}
}

func passwordViews(p access.ServicePrincipal) []passwordCredential {
	out := make([]passwordCredential, len(p.Secrets))
	for i, s := range p.Secrets {
		out[i] = passwordView(s)
	}
	return out
}

func passwordView(s access.Secret) passwordCredential {
	return passwordCredential{
		KeyID: s.KeyID, DisplayName: text(s.DisplayName), Hint: s.Hint,
		Start: timestamp(s.Start), End: timestamp(s.End),
	}
}

func keyViews(p access.ServicePrincipal) []keyCredential {
	out := make([]keyCredential, len(p.Certificates))
	for i, c := range p.Certificates {
		out[i] = keyCredential{
			KeyID: c.KeyID, DisplayName: text(c.DisplayName), Type: "AsymmetricX509Cert", Usage: "Verify",
			Start: timestamp(c.Start), End: timestamp(c.End),
		}
	}
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// certificates builds the certificates of a principal from the key credentials
// of a request, which replace the present ones. A credential without a key is
// one that the client read here and sends back to keep.
func certificates(keys []keyCredential, present []access.Certificate) ([]access.Certificate, error) {
	if len(keys) > maxCredentials {
		return nil, badRequest("Request_BadRequest", fmt.Sprintf("At most %d key credentials are allowed.", maxCredentials))
	}
	out := make([]access.Certificate, 0, len(keys))
	for _, k := range keys {
		if k.Key == nil || *k.Key == "" {
			i := slices.IndexFunc(present, func(c access.Certificate) bool { return strings.EqualFold(c.KeyID, k.KeyID) })
			if i < 0 {
				return nil, badRequest("Request_BadRequest", "A key credential without a key names none that is present.")
			}
			out = append(out, present[i])
			continue
		}
		name := ""
		if k.DisplayName != nil {
			name = *k.DisplayName
		}
		raw, err := base64.StdEncoding.DecodeString(*k.Key)
		if err != nil {
			return nil, badRequest("Request_BadRequest", "Key credential: key is not base64.")
		}
		if block, _ := pem.Decode(raw); block == nil {
			raw = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
		}
		cert, err := access.NewCertificate(raw, name)
		if err != nil {
			return nil, badRequest("Request_BadRequest", "Key credential: "+err.Error()+".")
		}
		out = append(out, cert)
	}
	return out, nil
}

// finder resolves the id of a path to a principal.
type finder func(ctx context.Context, id string) (access.ServicePrincipal, error)

func (h *Handler) byAppID(_ context.Context, id string) (access.ServicePrincipal, error) {
	if p, ok := h.Directory.ByAppID(id); ok {
		return p, nil
	}
	return access.ServicePrincipal{}, noSuch(id)
}

func (h *Handler) byPrincipalID(_ context.Context, id string) (access.ServicePrincipal, error) {
	if p, ok := h.Directory.ByObjectID(id); ok && !p.Pending {
		return p, nil
	}
	return access.ServicePrincipal{}, noSuch(id)
}

func (h *Handler) byApplicationID(ctx context.Context, id string) (access.ServicePrincipal, error) {
	all, err := h.Directory.List(ctx)
	if err != nil {
		return access.ServicePrincipal{}, fmt.Errorf("list service principals: %w", err)
	}
	for _, p := range all {
		if strings.EqualFold(applicationID(p), id) {
			return p, nil
		}
	}
	return access.ServicePrincipal{}, noSuch(id)
}

// maxTries bounds how often a change is repeated on a newer state.
const maxTries = 5

// update changes the principal that find resolves id to. The change is made
// again when somebody else was faster, so it must not have other effects.
func (h *Handler) update(ctx context.Context, find finder, id string, change func(*access.ServicePrincipal) error) (access.ServicePrincipal, error) {
	for try := 1; ; try++ {
		p, err := find(ctx, id)
		if err != nil {
			return p, err
		}
		p = p.Clone()
		if err := change(&p); err != nil {
			return p, err
		}
		err = h.Directory.Put(ctx, p)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, access.ErrConflict) || try == maxTries {
			return p, fmt.Errorf("store service principal %s: %w", p.AppID, err)
		}
	}
}

func parseTime(s *string, def time.Time) (time.Time, error) {
	if s == nil || *s == "" {
		return def, nil
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		return t, badRequest("Request_BadRequest", "startDateTime and endDateTime must be ISO 8601 with a zone.")
	}
	return t, nil
}
