package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/intertie/intertie/armclient"
)

// cast brings the actors on stage.
type cast struct {
	tell    story
	ledger  *ledger
	closers *[]func(context.Context) error // run last in, first out
}

// setUp creates the actors and connects the partner with each customer. It
// returns the channels to publish on.
func (c cast) setUp(ctx context.Context, server Server) ([]channel, error) {
	creds, _ := server.Admin()
	admin, err := c.client(creds)
	if err != nil {
		return nil, err
	}
	cast := customers()
	names := []string{partnerName}
	for _, who := range cast {
		names = append(names, who.name)
	}
	parties := map[string]armclient.Party{}
	for _, name := range names {
		if parties[name], err = c.hire(ctx, admin, name); err != nil {
			return nil, err
		}
	}
	c.tell.sayf("operator", "gives %s a subscription each, and no rights elsewhere", and(names))

	var channels []channel
	for i, who := range cast {
		stream, err := c.connect(ctx, parties[partnerName], parties[who.name], who, i == 0)
		if err != nil {
			return nil, err
		}
		channels = append(channels, channel{who, stream})
	}
	return channels, c.trespass(ctx, parties, cast, channels)
}

// hire gives an actor a subscription, and a principal with rights there only.
func (c cast) hire(ctx context.Context, admin *armclient.Client, name string) (armclient.Party, error) {
	subscription, err := admin.CreateSubscription(ctx, name)
	if err != nil {
		return armclient.Party{}, err
	}
	principal, err := admin.CreatePrincipal(ctx, name, "Contributor", "/subscriptions/"+subscription)
	if err != nil {
		return armclient.Party{}, err
	}
	client, err := c.client(admin.Credentials().As(principal))
	return armclient.Party{Client: client, Subscription: subscription, Group: group}, err
}

func (c cast) client(creds armclient.Credentials) (*armclient.Client, error) {
	client, err := armclient.New(creds)
	if err != nil {
		return nil, err
	}
	*c.closers = append(*c.closers, func(context.Context) error { client.Close(); return nil })
	return client, nil
}

// connect plays partner and customer from registration to event subscription.
func (c cast) connect(ctx context.Context, partner, subscriber armclient.Party, who customer, first bool) (armclient.Stream, error) {
	hooks, err := startReceiver(who.name, c.ledger)
	if err != nil {
		return armclient.Stream{}, err
	}
	*c.closers = append(*c.closers, hooks.stop)

	rules := map[string]mailbox{}
	flow := armclient.PartnerFlow{
		Partner: partner, Customer: subscriber,
		Region:       region,
		Registration: partnerName,
		Namespace:    partnerName,
		Channel:      channelOf(who),
		PartnerTopic: partnerName + "-orders",
		Source:       sourceOf(who),
		EventTypes:   []string{typePlaced, typeReturn},
	}
	for _, box := range who.boxes {
		rules[box.name] = box
		flow.Subscriptions = append(flow.Subscriptions,
			armclient.EventSubscription{Name: box.name, URL: hooks.url + "/" + box.name, Filter: box.filter})
	}
	flow.Done = func(step armclient.Step, detail string) {
		switch step {
		case armclient.NamespaceOpened:
			if first {
				c.tell.sayf(partnerName, "registers as a partner and opens a namespace to publish to:")
				c.tell.sayf("", "%s", detail)
			}
		case armclient.PartnerAuthorized:
			c.tell.sayf(who.name, "authorizes %s to offer it events", partnerName)
		case armclient.ChannelCreated:
			c.tell.sayf(partnerName, "creates channel %s; %s finds a partner topic, not yet active", detail, who.name)
		case armclient.TopicActivated:
			c.tell.sayf(who.name, "activates it")
		case armclient.EventsSubscribed:
			c.tell.sayf(who.name, "subscribes %s/%-8s where %s", hooks.url, detail, rules[detail].rule)
		}
	}
	return flow.Run(ctx)
}

// trespass shows that the second customer cannot look into the first one's
// side: the demo fails if it can.
func (c cast) trespass(ctx context.Context, parties map[string]armclient.Party, cast []customer, channels []channel) error {
	owner, stranger := cast[0].name, cast[1].name
	err := parties[stranger].Client.Get(ctx, channels[0].stream.PartnerTopic, armclient.VersionEventGrid, nil)
	var refused *armclient.Error
	switch {
	case err == nil:
		return fmt.Errorf("%s could read the partner topic of %s", stranger, owner)
	case !errors.As(err, &refused):
		return err
	case refused.Status != http.StatusForbidden && refused.Status != http.StatusNotFound:
		return fmt.Errorf("%s asking for the partner topic of %s: %w", stranger, owner, err)
	}
	c.tell.sayf(stranger, "asks for the partner topic of %s: %d %s", owner, refused.Status, refused.Code)
	return nil
}

// and joins names as a sentence does.
func and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
