"""One question to the shipped knowledge base, with its sources: no key, no network."""

import cervella

with cervella.Agent() as agent:  # the nearest cervella.toml, here or above
    agent.index()
    reply = agent.ask("Quanta VRAM ha la RTX 4090 di RunPod e quanto costa al mese?")
    print(reply.text)
    for source in reply.citations:
        print(f"[{source.mark}] {source.path}:{source.start_line}-{source.end_line}")
