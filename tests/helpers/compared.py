"""What tests of comparing share."""

import html.parser

FIGURES = ["params", "macs", "flops", "activations", "param_bytes", "activation_bytes"]


RESNETS = ["resnet50", "resnet18", "resnet34"]


def text_of(page):
    """What a reader sees of HTML, and the tags."""
    parser, words, tags = html.parser.HTMLParser(), [], []
    parser.handle_data, parser.handle_starttag = words.append, lambda tag, _: tags.append(tag)
    parser.feed(page)
    return "".join(words).replace("\u00a0", " "), tags
