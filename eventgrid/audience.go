package eventgrid

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// Protection says that an endpoint is protected by Microsoft Entra: what is sent
// there carries a token made out to an application. The zero value is none.
type Protection struct {
	TenantID, ApplicationID string
	// Subscription is the Azure subscription in which the application was named.
	Subscription string
}

// Audiences says for which applications events may carry tokens, and from which
// Azure subscriptions. The zero value permits none. It must not change while it is
// used.
//
// An endpoint trusts whoever brings a token that is made out to it. If tenants could
// name any application, they would reach what others have protected by it, in the
// name of this server.
type Audiences struct {
	// Own reports whether an application stands for this server's own APIs: their
	// tokens go to nobody. Nil knows none.
	Own func(application string) bool
	// Listed holds, for each [AudienceKey] of the operator's list, the Azure
	// subscriptions that may name it; "*" is each.
	Listed map[string][]string
	// FirstCome leaves an application that is not listed to the Azure subscription
	// that names it first, for good. It is for tokens of the built-in sign-in, by
	// which nobody but the tenants' own endpoints knows this server.
	FirstCome bool
}

func (r *Rules) audiences() *Audiences {
	if r.Audiences == nil {
		return &Audiences{}
	}
	return r.Audiences
}

// maxApplication is Entra's bound on the URI of an application, in bytes.
const maxApplication = 255

// applicationPattern admits the id of an application and the URI of one, and no
// second scope: neither blanks nor an empty segment.
var applicationPattern = regexp.MustCompile(`^(?:[a-zA-Z][-a-zA-Z0-9+.]*:(?://)?)?[-a-zA-Z0-9._~@:]+(?:/[-a-zA-Z0-9._~@]+)*/?$`)

// ValidApplication reports whether a text names one application and nothing else.
func ValidApplication(s string) bool {
	return len(s) <= maxApplication && applicationPattern.MatchString(s) && !slices.Contains(strings.Split(strings.ToLower(s), "/"), ".default")
}

// AudienceKey is the same for two spellings of an application for which receivers
// may take them to be one: Entra's examples accept the id and api://ID alike.
func AudienceKey(application string) string {
	key := strings.ToLower(strings.TrimRight(application, "/"))
	if isUUID(key) {
		return "api://" + key
	}
	return key
}

// isUUID admits the usual spelling only.
func isUUID(s string) bool { return len(s) == len(uuid.Nil.String()) && uuid.Validate(s) == nil }

// Permits returns nil if what is sent to an endpoint may carry the token that it
// asks for, now: an application that is nobody's must be registered before. Its error
// is an [*resource.Error].
func (a *Audiences) Permits(tx resource.Reader, p Protection) error {
	free, err := a.judge(tx, p)
	if err == nil && free {
		return p.denied("nobody has registered it; write the event subscription or the channel again")
	}
	return err
}

// Register is Permits for an endpoint that is to be used: an application that is
// nobody's becomes that of the subscription. Without an application there is nothing
// to do.
//
// It must be durable before the first token, also where the endpoint is only asked
// for its consent: whoever has a token for an application has it as its owner.
func (a *Audiences) Register(tx resource.Tx, p Protection, caller string, now time.Time) error {
	if p.ApplicationID == "" {
		return nil
	}
	free, err := a.judge(tx, p)
	if err != nil || !free {
		return err
	}
	full := resource.Errorf(resource.Conflict,
		"The subscription '%s' has registered %d applications for webhooks, as many as it can. They stay registered after their event subscriptions are deleted; use one of them again, or one named api://%s/…, which needs no registration.",
		p.Subscription, maxAudiencesReserved, strings.ToLower(p.Subscription))
	if err := reserve(tx, typeAudiencesReserved, p.Subscription, maxAudiencesReserved, full, caller, now); err != nil {
		return err
	}
	return p.record(tx, caller, now)
}

func (p Protection) record(tx resource.Tx, caller string, now time.Time) error {
	return put(tx, newResource(audienceID(p.ApplicationID), typeAudience, "", caller, now), &audience{p.ApplicationID, p.Subscription})
}

// judge reports whether p is permitted, and whether only because nobody has
// registered the application so far.
func (a *Audiences) judge(tx resource.Reader, p Protection) (free bool, err error) {
	switch {
	case !ValidApplication(p.ApplicationID):
		return false, resource.Invalid("azureActiveDirectoryApplicationIdOrUri %.100q is not the id or the URI of one application: at most %d letters, digits and - . _ ~ @ : /, without blanks and without /.default.",
			p.ApplicationID, maxApplication)
	case a.Own != nil && a.Own(p.ApplicationID):
		return false, resource.Invalid("azureActiveDirectoryApplicationIdOrUri '%s' stands for this server's own APIs. Name the application that protects the endpoint.", p.ApplicationID)
	}
	key := AudienceKey(p.ApplicationID)
	if listed, ok := a.Listed[key]; ok {
		if slices.ContainsFunc(listed, func(s string) bool { return s == "*" || equalFold(s, p.Subscription) }) {
			return false, nil
		}
		return false, p.denied("the operator of this server has listed it for others")
	}
	if !a.FirstCome {
		return false, p.denied("it is not on the list of webhook audiences that the operator of this server keeps")
	}
	if named, ok := subscriptionIn(key); ok {
		if equalFold(named, p.Subscription) {
			return false, nil
		}
		if _, exists := tx.Get(resource.SubscriptionID(named)); exists {
			return false, p.denied("it belongs to another subscription. The operator of this server can list it for several")
		}
	}
	r, ok := tx.Get(audienceID(p.ApplicationID))
	if !ok {
		return true, nil
	}
	has, err := resource.Properties[audience](r)
	if err != nil || !equalFold(has.Subscription, p.Subscription) {
		return false, p.denied("it belongs to another subscription. The operator of this server can list it for several")
	}
	return false, nil
}

func (p Protection) denied(why string) error {
	return resource.Errorf(resource.AuthorizationFailed,
		"The application '%s' may not be used for endpoints in the subscription '%s': %s.", p.ApplicationID, p.Subscription, why)
}

// subscriptionIn returns the id in the key api://ID or api://ID/…, by which a
// subscription names applications that are its own from the start.
func subscriptionIn(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, "api://")
	first, _, _ := strings.Cut(rest, "/")
	return first, ok && isUUID(first)
}

// typeAudience is the type of the records that say whose an application is:
// an internal one, at the root. A record stays when nothing names the application
// any more, as its endpoint may go on to trust it.
const typeAudience = "Intertie.Webhooks/audiences"

type audience struct {
	Application  string `json:"application"`
	Subscription string `json:"subscription"`
}

func audienceID(application string) resource.ID {
	return resource.ID{}.Provider(typeAudience, uuid.NewSHA1(uuid.NameSpaceURL, []byte(AudienceKey(application))).String())
}

// typeAudiencesReserved is the type of the record that counts the audiences of one
// subscription, and maxAudiencesReserved bounds them.
const (
	typeAudiencesReserved = "Intertie.Webhooks/reserved"
	maxAudiencesReserved  = 200
)

// UnclaimedAudiences returns the event subscriptions and channels that name an
// application which belongs to nobody: those of versions that asked for no
// registration. The oldest is the first.
func UnclaimedAudiences(tx resource.Reader) []resource.ID {
	var found []*resource.Resource
	for _, typ := range append(SubscriptionTypes(), TypeChannel) {
		for _, r := range tx.List(typ, resource.ID{}) {
			if p, ok := protectionOf(r); ok && ValidApplication(p.ApplicationID) {
				if _, taken := tx.Get(audienceID(p.ApplicationID)); !taken {
					found = append(found, r)
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *resource.Resource) int { return a.CreatedAt.Compare(b.CreatedAt) })
	ids := make([]resource.ID, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	return ids
}

// ClaimAudience registers the application that a stored event subscription or
// channel names, unless somebody has it.
func ClaimAudience(tx resource.Tx, id resource.ID, now time.Time) error {
	r, ok := tx.Get(id)
	if !ok {
		return nil
	}
	p, ok := protectionOf(r)
	if !ok {
		return nil
	}
	if _, taken := tx.Get(audienceID(p.ApplicationID)); taken {
		return nil
	}
	return p.record(tx, r.CreatedBy, now)
}

// protectionOf returns what the endpoint asks for that an event subscription or a
// channel names itself.
func protectionOf(r *resource.Resource) (Protection, bool) {
	// Nearly all have none, and there can be very many.
	if !strings.Contains(string(r.Properties), `"azureActiveDirectoryApplicationIdOrUri"`) {
		return Protection{}, false
	}
	var p Protection
	if r.Type == TypeChannel {
		c, err := resource.Properties[Channel](r)
		if err != nil || c.PartnerDestination == nil {
			return Protection{}, false
		}
		p = c.PartnerDestination.protection(r)
	} else {
		es, err := resource.Properties[EventSubscription](r)
		if err != nil {
			return Protection{}, false
		}
		if hook, ok := es.WebHook(); ok {
			p = hook.Protection(r)
		}
	}
	return p, p.ApplicationID != ""
}
