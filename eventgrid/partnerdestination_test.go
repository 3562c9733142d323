package eventgrid

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

var (
	inboundID            = namespaceID.Child("channels", "acme-inbound")
	partnerDestinationID = customerGroup.Provider(TypePartnerDestination, "to-northwave")
	destinationES        = topicID.Child("eventSubscriptions", "to-partner")
)

const (
	partnerURL = "https://hooks.northwave.example/in/4711?code=marker"
	inboundIs  = `"endpointUrl":"` + partnerURL + `","clientAuthentication":{"clientAuthenticationType":"azuread","properties":{"azureActiveDirectoryTenantId":"44444444-aaaa-4bbb-8ccc-000000000004","azureActiveDirectoryApplicationIdOrUri":"api://northwave-inbound"}}`
)

func inboundBody(properties, more string) string {
	return `{"properties":{"channelType":"partnerdestination","partnerDestinationInfo":{"azureSubscriptionId":"` + customerSub +
		`","resourceGroupName":"rg-c","name":"to-northwave","endpointType":"webhook","endpointServiceContext":"northwave/4711/main","properties":{` + properties + `}}` + more + `}}`
}

func toDestination(more string) string {
	return `{"properties":{"destination":{"endpointType":"partnerDestination","properties":{"resourceId":"` + partnerDestinationID.String() + `"}}` + more + `}}`
}

// withDestination adds a channel by which the customer sends to the partner, and
// activates it.
func (w *world) withDestination() *world {
	w.must(w.put(inboundID, inboundBody(inboundIs, "")))
	w.must(w.post(partnerDestinationID, "activate", ""))
	return w
}

func (w *world) trusted() *world { return w.withNamespace().withGrant() }

func TestChannelToAPartnerDestination(t *testing.T) {
	w := newWorld(t).trusted()
	w.must(w.put(inboundID, inboundBody(inboundIs, `,"messageForActivation":"router of 4711","expirationTimeIfNotActivatedUtc":"2026-03-08T09:00:00Z"`)))
	const channel = `{"channelType":"PartnerDestination","partnerDestinationInfo":{"azureSubscriptionId":"` + customerSub + `","resourceGroupName":"rg-c","name":"to-northwave",` +
		`"endpointType":"WebHook","endpointServiceContext":"northwave/4711/main","resourceMoveChangeHistory":[],"properties":{"endpointUrl":null,"endpointBaseUrl":"https://hooks.northwave.example/in/4711",` +
		`"clientAuthentication":{"clientAuthenticationType":"AzureAD","properties":{"azureActiveDirectoryTenantId":"44444444-aaaa-4bbb-8ccc-000000000004","azureActiveDirectoryApplicationIdOrUri":"api://northwave-inbound"}}}},` +
		`"readinessState":"NeverActivated","provisioningState":"Succeeded","messageForActivation":"router of 4711","expirationTimeIfNotActivatedUtc":"2026-03-08T09:00:00Z"}`
	if got := w.show(inboundID, resource.ID{}); got != channel {
		t.Errorf("got  %s\nwant %s", got, channel)
	}
	destination := `{"partnerRegistrationImmutableId":"` + w.partner().ImmutableID + `","endpointServiceContext":"northwave/4711/main","endpointBaseUrl":"https://hooks.northwave.example/in/4711",` +
		`"activationState":"NeverActivated","provisioningState":"Succeeded","expirationTimeIfNotActivatedUtc":"2026-03-08T09:00:00Z","messageForActivation":"router of 4711"}`
	if got := w.show(partnerDestinationID, resource.ID{}); got != destination {
		t.Errorf("got  %s\nwant %s", got, destination)
	}
	r := w.get(partnerDestinationID)
	if r.Location != "westeurope" || strings.Contains(string(r.Properties), "marker") || len(r.Secrets) != 2 {
		t.Errorf("location %s, %d secrets", r.Location, len(r.Secrets))
	}
	for name, secret := range r.Secrets {
		if strings.Contains(secret, "marker") {
			t.Errorf("the customer's side holds the partner's URL in %s", name)
		}
	}
	if len(w.hooks.asked) > 0 {
		t.Error("a partner's endpoint gets no handshake")
	}
}

func TestFullURLOfChannels(t *testing.T) {
	w := newWorld(t).withChannel().withDestination()
	for id, want := range map[string]string{inboundID.String(): `{"endpointUrl":"` + partnerURL + `"}`, channelID.String(): `{"endpointUrl":null}`} {
		channel, err := resource.ParseID(id)
		w.must(err)
		answer, err := w.ask(channel, "getfullurl", "")
		if data, _ := json.Marshal(answer); err != nil || string(data) != want {
			t.Errorf("%s: %s, %v", id, data, err)
		}
	}
}

// Whatever is refused leaves nothing behind, on neither side.
func TestDestinationChannelRefusals(t *testing.T) {
	const is = "Invalid Channel request: "
	replace := func(old, with string) string { return strings.Replace(inboundBody(inboundIs, ""), old, with, 1) }
	none := func(*world) {}
	for name, c := range map[string]struct {
		before func(*world)
		body   string
		code   resource.Code
		text   string
	}{
		"not authorized":  {func(w *world) { w.must(w.delete(configurationID)) }, replace("", ""), resource.PartnerNotAuthorized, "no authorization"},
		"expired":         {func(w *world) { w.now = w.now.Add(8 * day) }, replace("", ""), resource.PartnerNotAuthorized, "expired"},
		"no group":        {none, replace("rg-c", "rg-none"), resource.PartnerNotAuthorized, "no authorization"},
		"no subscription": {none, replace(customerSub, strangerSub), resource.PartnerNotAuthorized, strangerSub},
		"no GUID":         {none, replace(customerSub, "mine"), resource.InvalidRequest, is + "partnerDestinationInfo.azureSubscriptionId 'mine' is not a GUID."},
		"group name":      {none, replace("rg-c", "a/b"), resource.InvalidRequest, is + "partnerDestinationInfo.resourceGroupName is required; 'a/b' is not the name of a resource group."},
		"name":            {none, replace("to-northwave", "x"), resource.InvalidRequest, is + "partnerDestinationInfo.name 'x' must consist of 3 to 50 letters, digits and hyphens."},
		"name taken": {
			func(w *world) { w.must(w.put(namespaceID.Child("channels", "first"), inboundBody(inboundIs, ""))) }, replace("", ""), resource.Conflict,
			"The partner destination 'to-northwave' already exists in resource group 'rg-c'. Each partner destination belongs to one channel; choose another name.",
		},
		"endpoint type":  {none, replace("webhook", "EventHub"), resource.InvalidRequest, "'EventHub' is not one of the allowed values: WebHook."},
		"no URL":         {none, inboundBody("", ""), resource.InvalidRequest, is + "Supplied URL is invalid."},
		"refused URL":    {func(w *world) { w.hooks.refuse = errors.New("The endpoint is too far.") }, replace("", ""), resource.InvalidRequest, is + "The endpoint is too far."},
		"authentication": {none, replace("azuread", "Basic"), resource.InvalidRequest, "'Basic' is not one of the allowed values: AzureAD."},
		"tenant alone":   {none, replace("api://northwave-inbound", ""), resource.InvalidRequest, is + "clientAuthentication.properties needs azureActiveDirectoryTenantId and azureActiveDirectoryApplicationIdOrUri."},
		"tenant a path":  {none, replace("44444444-aaaa-4bbb-8ccc-000000000004", "../x"), resource.InvalidRequest, is + "azureActiveDirectoryTenantId '../x' is neither a GUID nor a domain name."},
		"nothing":        {none, `{"properties":{"channelType":"PartnerDestination"}}`, resource.InvalidRequest, is + "the property 'partnerDestinationInfo' is required for a channel of type PartnerDestination."},
		"both":           {none, inboundBody(inboundIs, `,"partnerTopicInfo":{}`), resource.InvalidRequest, is + "the property 'partnerTopicInfo' does not belong to a channel of type PartnerDestination."},
		"the other type": {none, replace("partnerdestination", "PartnerTopic"), resource.InvalidRequest, is + "the property 'partnerTopicInfo' is required for a channel of type PartnerTopic."},
		"a wrong member": {none, inboundBody(`"endpointUrl":5`, ""), resource.InvalidRequestContent, "endpointUrl' is a JSON number; a string is expected."},
		"message":        {none, inboundBody(inboundIs, `,"messageForActivation":"`+strings.Repeat("x", 257)+`"`), resource.InvalidRequest, "257"},
		"expiry":         {none, inboundBody(inboundIs, `,"expirationTimeIfNotActivatedUtc":"2026-03-08T09:02:00Z"`), resource.InvalidRequest, "at most 7 days from now."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).trusted()
			c.before(w)
			taken := w.exists(partnerDestinationID)
			w.wantError(w.put(inboundID, c.body), c.code, c.text)
			if w.exists(inboundID) || w.exists(partnerDestinationID) != taken {
				t.Error("something was created")
			}
		})
	}
}

// ends is what both ends of a channel to a partner destination show.
type ends struct {
	Channel, Destination   string // states
	URL, Base, At, Message string
}

func (w *world) ends() ends {
	e := ends{}
	if w.exists(inboundID) {
		c := props[Channel](w, inboundID)
		e.Channel, e.URL = c.ReadinessState, w.get(inboundID).Secrets[SecretEndpointURL]
		if c.PartnerDestination.Endpoint.EndpointURL != nil {
			w.t.Error("the URL is stored in clear")
		}
	}
	if w.exists(partnerDestinationID) {
		p := props[PartnerDestination](w, partnerDestinationID)
		e.Destination, e.Base = p.ActivationState, p.EndpointBaseURL
		if p.Expires != nil {
			e.At = p.Expires.Std().Format("2006-01-02")
		}
		if p.Message != nil {
			e.Message = *p.Message
		}
	}
	return e
}

func TestChannelAndPartnerDestinationChangeTogether(t *testing.T) {
	const base, other = "https://hooks.northwave.example/in/4711", "https://new.northwave.example/in"
	message := "The partner destination to-northwave was created on behalf of the partner for service context northwave/4711/main on 3/1/2026 9:00:00 AM. " +
		"If you do not recognize it, delete the partner destination or contact the partner. "
	fresh := ends{NeverActivated, NeverActivated, partnerURL, base, "2026-03-08", message}
	active := ends{Activated, Activated, partnerURL, base, "", ""}
	do := map[string]func(*world) error{
		"activate":         func(w *world) error { return w.post(partnerDestinationID, "activate", "") },
		"customer deletes": func(w *world) error { return w.delete(partnerDestinationID) },
		"partner deletes":  func(w *world) error { return w.delete(inboundID) },
		"new URL": func(w *world) error {
			return w.patch(inboundID, `{"properties":{"partnerDestinationInfo":{"endpointType":"WebHook","properties":{"endpointUrl":"`+other+`?code=2","endpointBaseUrl":"https://forged.example"}}}}`)
		},
		"sooner": func(w *world) error {
			return w.patch(inboundID, `{"properties":{"expirationTimeIfNotActivatedUtc":"2026-03-05T00:00:00Z"}}`)
		},
		"same again": func(w *world) error { return w.put(inboundID, inboundBody(inboundIs, "")) },
		"as read":    func(w *world) error { return w.put(inboundID, `{"properties":`+w.show(inboundID, resource.ID{})+`}`) },
		"customer's PUT": func(w *world) error {
			return w.put(partnerDestinationID, `{"location":"West Europe","tags":{"cost":"42"},"properties":{"activationState":"NeverActivated","endpointBaseUrl":"https://forged.example"}}`)
		},
		"activated by PUT": func(w *world) error {
			return w.put(partnerDestinationID, `{"location":"West Europe","properties":{"activationState":"Activated"}}`)
		},
		"8 days": func(w *world) error {
			w.now = w.now.Add(8 * day)
			w.expire(partnerDestinationID)
			return nil
		},
	}
	for name, c := range map[string]struct {
		steps []string
		want  ends
	}{
		"created":                  {nil, fresh},
		"activated":                {[]string{"activate"}, active},
		"activated twice":          {[]string{"activate", "activate"}, active},
		"repeated":                 {[]string{"same again", "as read"}, fresh},
		"repeated when active":     {[]string{"activate", "same again", "as read"}, active},
		"customer's PUT":           {[]string{"customer's PUT"}, fresh},
		"activated by PUT":         {[]string{"activated by PUT"}, active},
		"URL changed":              {[]string{"new URL"}, ends{NeverActivated, NeverActivated, other + "?code=2", other, "2026-03-08", message}},
		"URL changed when active":  {[]string{"activate", "new URL", "as read"}, ends{Activated, Activated, other + "?code=2", other, "", ""}},
		"expiry changed":           {[]string{"sooner"}, ends{NeverActivated, NeverActivated, partnerURL, base, "2026-03-05", message}},
		"customer deletes":         {[]string{"activate", "customer deletes"}, ends{}},
		"partner deletes":          {[]string{"activate", "partner deletes"}, ends{}},
		"nobody activates in time": {[]string{"8 days"}, ends{}},
		"activated in time":        {[]string{"activate", "8 days"}, active},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).trusted()
			w.must(w.put(inboundID, inboundBody(inboundIs, "")))
			for _, step := range c.steps {
				w.must(do[step](w))
			}
			if diff := cmp.Diff(c.want, w.ends()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDestinationChannelsKeepWhatIsFixed(t *testing.T) {
	w := newWorld(t).trusted().withDestination()
	before := w.ends()
	for old, c := range map[string]struct{ with, text string }{
		customerSub:           {partnerSub, "azureSubscriptionId"},
		"rg-c":                {"rg-d", "resourceGroupName"},
		"to-northwave":        {"to-other", "partnerDestinationInfo.name"},
		"northwave/4711/main": {"elsewhere", "endpointServiceContext"},
		"partnerdestination":  {"PartnerTopic", "channelType"},
	} {
		w.wantError(w.put(inboundID, strings.Replace(inboundBody(inboundIs, ""), old, c.with, 1)), resource.InvalidRequest, c.text+"' cannot be changed after creation")
	}
	w.wantError(w.patch(inboundID, `{"properties":{"partnerTopicInfo":{"eventTypeInfo":{}}}}`), resource.InvalidRequest, "does not belong to a channel of type PartnerDestination")
	// What a PATCH leaves out stays.
	w.must(w.patch(inboundID, `{"properties":{"partnerDestinationInfo":{"properties":{"clientAuthentication":{"properties":{"azureActiveDirectoryTenantId":"contoso.example"}}}}}}`))
	a := props[Channel](w, inboundID).PartnerDestination.Endpoint.ClientAuthentication
	if a.Properties.TenantID != "contoso.example" || a.Properties.ApplicationID != "api://northwave-inbound" || a.Type != "AzureAD" || w.ends() != before {
		t.Errorf("got %+v, %+v", a, w.ends())
	}
	w.must(w.patch(inboundID, `{"properties":{"partnerDestinationInfo":{"properties":{"clientAuthentication":null}}}}`))
	if e := props[Channel](w, inboundID).PartnerDestination.Endpoint; e.ClientAuthentication != nil || w.ends() != before {
		t.Errorf("got %+v", e)
	}
}

func TestActivationOfAPartnerDestination(t *testing.T) {
	w := newWorld(t).trusted()
	w.must(w.put(inboundID, inboundBody(inboundIs, "")))
	if at := w.rules.Due(w.get(partnerDestinationID)); !at.Equal(w.now.Add(7 * day)) {
		t.Errorf("due %v", at)
	}
	if _, ok := w.kinds[TypePartnerDestination].Actions["deactivate"]; ok {
		t.Error("a partner destination can be deactivated")
	}
	late := *w
	late.now = w.now.Add(7 * day)
	w.wantError(late.post(partnerDestinationID, "activate", ""), resource.NotFound, "The partner destination 'to-northwave' was not activated by 2026-03-08T09:00:00Z and has expired")
	by := w.get(inboundID).ModifiedBy
	w.must(w.change(func(tx resource.Tx) error {
		r, _ := tx.Get(partnerDestinationID)
		_, err := w.kinds[TypePartnerDestination].Actions["activate"].Do(&resource.Call{Tx: tx, Resource: r, Caller: "the customer", Now: w.now})
		return err
	}))
	if w.get(inboundID).ModifiedBy != by || w.get(partnerDestinationID).ModifiedBy != "the customer" {
		t.Error("the customer's hand shows on the partner's side, or not on its own")
	}
	if at := w.rules.Due(w.get(partnerDestinationID)); !at.IsZero() {
		t.Errorf("due %v", at)
	}
	w.all.Delete(inboundID) // by another program: both go together here
	w.wantError(w.post(partnerDestinationID, "activate", ""), resource.Conflict, "The channel of the partner destination 'to-northwave' does not exist any more; delete the partner destination.")
	w.must(w.delete(partnerDestinationID))
}

func TestWithdrawnGrantBlocksTheDestinationChannel(t *testing.T) {
	w := newWorld(t).trusted().withDestination()
	before := w.ends()
	w.must(w.delete(configurationID))
	w.wantError(w.put(inboundID, inboundBody(inboundIs, "")), resource.PartnerNotAuthorized)
	w.wantError(w.patch(inboundID, `{"properties":{}}`), resource.PartnerNotAuthorized)
	w.wantError(w.delete(inboundID), resource.PartnerNotAuthorized)
	if w.ends() != before {
		t.Errorf("something changed: %+v", w.ends())
	}
	w.must(w.delete(partnerDestinationID))
	if w.exists(inboundID) {
		t.Error("the channel is left")
	}
}
