"""Wrong answers of chapter 6: a trained autoencoder."""

import torch
from torch import nn

from utils.data import binarize
from utils.nets import mlp
from wrong_answers import stored, wrong
from wrong_answers.variational_autoencoders._shared import pixels, standard_kl

# --- vae.train -------------------------------------------------------------------------------------------------------


def untrained(latent, hidden):
    return nn.ModuleList([mlp(64, hidden, 2 * latent), mlp(latent, hidden, 64)])


@stored
def vae_weights(x_train, *, latent=8, epochs=20, price=1.0, per_pixel=False, frozen=False, hidden=64):
    torch.manual_seed(0)
    encoder, decoder = networks = untrained(latent, hidden)
    optimizer = torch.optim.Adam([*encoder.parameters(), *(() if frozen else decoder.parameters())], lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x_train)).split(64):
            x = binarize(x_train[rows])
            mean, log_variance = encoder(x).chunk(2, dim=1)
            odds = decoder(mean + (log_variance / 2).exp() * torch.randn_like(mean))
            fit = pixels(x, odds).sum(1) / (64 if per_pixel else 1)
            loss = (price * standard_kl(mean, log_variance).sum(1) - fit).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return networks.state_dict()


def trained(x_train, *, latent=8, hidden=64, **how):
    encoder, decoder = networks = untrained(latent, hidden)
    networks.load_state_dict(vae_weights(x_train, latent=latent, hidden=hidden, **how))
    return lambda x: tuple(encoder(x).chunk(2, dim=1)), decoder


@wrong("vae.train", says="posterior has collapsed")
def mean_over_pixels(x_train):
    return trained(x_train, per_pixel=True)


@wrong("vae.train", says="posterior has collapsed")
def price_too_high(x_train):
    return trained(x_train, price=20)


@wrong("vae.train", says="did not charge for them")
def plain_autoencoder(x_train):
    return trained(x_train, price=0, epochs=40)


@wrong("vae.train", says="you underfit")
def stopped_early(x_train):
    return trained(x_train, epochs=10)


@wrong("vae.train", says="you underfit")
def one_latent(x_train):
    return trained(x_train, latent=1, epochs=15)


@wrong("vae.train", says="you overfit")
def on_a_few_images(x_train):
    return trained(x_train[:400], hidden=256, epochs=300)


@wrong("vae.train", says="worse than independent pixels")
def decoder_left_out(x_train):
    return trained(x_train, frozen=True)


@wrong("vae.train", says="probabilities")
def with_sigmoid(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, nn.Sequential(decoder, nn.Sigmoid())


@wrong("vae.train", says="it is random")
def left_in_training(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, nn.Sequential(nn.Dropout(0.5), decoder)


@wrong("vae.train", says="which other codes are decoded with it")
def normalized_over_the_batch(x_train):
    encode, decoder = trained(x_train, epochs=2)
    return encode, lambda z: decoder(z - z[:1])


@wrong("vae.train", says="do not fit their image")
def deviation_for_log_variance(x_train):
    encode, decoder = trained(x_train, epochs=10)
    return lambda x: (encode(x)[0], (encode(x)[1] / 2).exp()), decoder


@wrong("vae.train", says="where a function belongs")
def one_tensor(x_train):
    return x_train, x_train
