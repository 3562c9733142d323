package app

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/signin/oidc"
)

func (o Options) validateAudiences() error {
	for application, subscriptions := range o.WebhookAudiences {
		if !eventgrid.ValidApplication(application) {
			return fmt.Errorf("--webhook-audiences: %q is not the id or the URI of one application, such as api://erp; leave /.default away", application)
		}
		if len(subscriptions) == 0 {
			return fmt.Errorf("--webhook-audiences: %s is for no subscription; name their ids, or * for all", application)
		}
		for _, s := range subscriptions {
			if s != "*" && uuid.Validate(s) != nil {
				return fmt.Errorf("--webhook-audiences: %s=%s: the part behind '=' is the id of an Azure subscription, or * for all", application, s)
			}
		}
	}
	return nil
}

// audiences returns who may have tokens for which application.
func (o Options) audiences(h *hosts) (*eventgrid.Audiences, error) {
	a := &eventgrid.Audiences{
		Own: o.ownAudience(h), Listed: make(map[string][]string), FirstCome: o.WebhookTokens.URL == "",
	}
	for application, subscriptions := range o.WebhookAudiences {
		if a.Own(application) {
			return nil, fmt.Errorf("--webhook-audiences: %s stands for this server's own APIs; with such a token a webhook could act as this server", application)
		}
		key := eventgrid.AudienceKey(application)
		a.Listed[key] = append(a.Listed[key], subscriptions...)
	}
	return a, nil
}

// ownAudience returns what tells the audiences that this server takes tokens for,
// of its own issuer or of another one, from all others.
func (o Options) ownAudience(h *hosts) func(string) bool {
	own := append(access.ManagementAudiences(), access.DataAudiences()...)
	for _, text := range o.OIDCIssuers {
		if i, err := oidc.ParseOptions(text); err == nil { // Validate has read it
			own = append(own, i.Audiences...)
		}
	}
	return func(audience string) bool {
		if slices.ContainsFunc(own, func(a string) bool { return access.SameAudience(a, audience) }) {
			return true
		}
		u, err := url.Parse(audience)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return false
		}
		return h.names[strings.ToLower(u.Hostname())] && h.ports[u.Port()]
	}
}
