<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE" sourcelanguage="en">
    <context>
        <name />
        <message numerus="yes">
            <source>%n under way</source>
            <translation type="unfinished">
                <numerusform />
                <numerusform />
            </translation>
        </message>
        <message>
            <source>0 always takes the most likely word; higher is more varied.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>1.85 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>16 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>2.25 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>3 bits (keys 4, values 2)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>3.45 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>4 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>4-bit integers</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>4.25 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>5.5 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>8 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>8.25 bits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A GGUF file</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A GGUF file…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A folder in Hugging Face layout…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A folder with config.json and safetensors files</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A model is on its way. You can watch it in the library.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>A new chat</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>API, OpenAI, endpoint</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>About Ternary-Zero</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Address of a mirror of the Hugging Face Hub. Empty: https://huggingface.co.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Address of the proxy</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Advanced</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>An answer that reaches it stops there and says so.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Another hub</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Answer of {name}: {text}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Answers</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Appearance</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Appearance: as the system</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Appearance: dark</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Appearance: light</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>April</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>As the system</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Ask for a token</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>August</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic: 16 bits where they fit</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Automatic: {precision} here</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Balanced</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Begin with</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Calibrating</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancel</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Cancelled: what is done is kept</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Change the context…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Chat</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Chat with a model of your own</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Chat with {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Checking the result</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Close</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Code</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Component</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Components and their licences</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Connections and examples</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context (tokens)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context in tokens</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context of {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context used</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context used: {sentence}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context: {text}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Context…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Conversation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Conversations</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Copied</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Copy answer</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Copy code</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Copy message</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Copy versions</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Dark</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>December</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete {id}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Delete {id}?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Disk space for that (GB)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Dismiss</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Done</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Downloading</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Drops words less likely than this share of the most likely one.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Edit</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Edit your message</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Encoding of new models</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Engine</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Enter</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Esc</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Every request that this program has made to the network, with time, host and purpose.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Everywhere</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Explain how a rainbow forms, in three sentences</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Export as Markdown…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Export conversation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Failed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>February</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Fewer bits hold a longer context in the same memory; 8 bits are hardly distinguishable from 16.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Find a shortcut</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>For every conversation that has no choice of its own (a click on the context's gauge).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>For example http://proxy.example.org:3128; used when “The one below” is chosen.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Four levels. For large models where memory is short.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Free software under the Apache License 2.0, without any warranty. Kept in {folder}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>From a file</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Gather the report</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Gathers versions, settings and logs without secrets into a file that you can look at first.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Gemma licence</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>General</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get a model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get a model first</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get and ternarise</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get and ternarise {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get as {encoding}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get as {encoding} {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get it</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Get “{query}” as typed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Getting it…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Give me five ideas for a rainy afternoon</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Hardly distinguishable from the original, at half its size.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Help</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Holds for this conversation; the settings say it for all others.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Hosts that are asked directly, with commas between them.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How long the context is to be, and what it takes of the memory</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How long the context is, and what it takes of the memory</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How much text a conversation can hold, questions and answers together.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How much text a conversation can hold; longer takes more memory.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>How new models are encoded</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Hugging Face token</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Installed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Installed model {id}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>January</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Jobs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>July</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>June</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keep</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keep conversations ready</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Keyboard shortcuts</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>LAN, network, remote</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Language</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Larger context…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Larger text</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Leave out the oldest</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Leave out the oldest messages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Let other machines in</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Library</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Licence</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Light</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>List of conversations</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Llama {version} licence</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading the model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading the model {percent} %…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading the model…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading {percent} %…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Loading…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Longest answer (tokens)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Longest that fits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Look</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Looking for models…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Looking it up</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Made with the work of others</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>March</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>May</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Memory</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Message</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Message field</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Message {name}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Messages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Min-p</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Models make mistakes. Check what matters.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Models of the family {family}, or stored as this one is, cannot be converted yet.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>More than the {count} tokens that the model was made for: past them its answers may lose the thread. What exactly suffers is said once it is open.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nearly lossless</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Needed only for models whose owners ask for an account. Make one with the right to read on the hub's page “Access tokens”. It is kept in the system's key ring, never in a file of settings or a log.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Network</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>New chat</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>New line</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Next version</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No key ring is available on this system ({reason}).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No model is installed yet. The starter below is small and needs no account.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>No shortcut is called that.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>None</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Not supported</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing found.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing goes out to the network: no search, no download. Installed models work as before.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Nothing was found.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>November</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>October</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Offline</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>One ternary plane. The smallest; small models lose their wits.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Only the most likely words that together reach this probability are drawn from.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Only this many of the most likely words; 0 means no limit.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open the folder of logs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open the library</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Open with this context</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Opens what happens when it is full</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Other programs find the server under this number. From 1024 on any program may use one.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Own licence</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Pause</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Paused: what is done is kept</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Pick a model, and it is downloaded, ternarised and kept on this machine. From then on everything stays here, with no network.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Port</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Precision</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Precision of the context</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Previous 30 days</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Previous 7 days</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Previous version</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Privacy</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Processor threads</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Programs on this machine can use the models through the OpenAI interface while the window is open.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Proxy</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Put before every new conversation.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Quit</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Reading the prompt</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Reading {done} of {total} tokens · {percent} %</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Reading {done} of {total} tokens · {percent} % · about {time} left</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Recommended</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Regenerate</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename conversation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Rename…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Report a problem</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Report a problem…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Results for “{query}”</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Resume</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Room for about {count} more tokens of questions and answers.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Search</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Search Hugging Face, or type org/name</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Search conversations</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Search for models</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Searching Hugging Face…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>See all models</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Seed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Send</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>September</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Server</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Server for other programs</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Settings</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Shortcuts, logs, about this program</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show earlier messages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show or hide the list of conversations</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the list</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the server</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Show the summary that the model reads in their place</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Small</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Smaller text</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Smallest</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Start it again</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Starting</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stop</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stop and ask</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stop the answer; back to the message field</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Stopped.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Summarise the oldest</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Summarise the oldest messages</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Summarising the oldest messages · {percent} %</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Summary of the messages above</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>System</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>System prompt</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Table</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Take off the list</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Takes effect at the next start.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Takes effect when the engine starts next.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Temperature</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Ternarise as</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Ternarising</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Ternary-Zero is already running but does not answer; close it first</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Text in its usual size</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The answer ends here because it reached the length limit.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The answer ends here because the context is full. The gauge below can let the next one go on.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The answer ends there; nothing is left out.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The answer was interrupted before it was finished.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The choice holds for all models.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The common four-bit format, for comparison.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The context and the precision that the engine chooses by itself</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The context was full: the model went on without {tokens} tokens from the middle of the text.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversation does not fit into the context. {reason}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversation no longer fits into the context.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversations cannot be read: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversations not used for the longest time make room.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversion cannot be started: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversion ended with exit code {code}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The conversion was killed, perhaps for lack of memory; Retry goes on from where it was.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The database cannot be written: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine answered with status {status}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine cannot be started: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine stopped unexpectedly and was restarted; the answer so far is kept.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine stopped unexpectedly.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine stopped unexpectedly; the answer so far is kept.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine stopped {count} times in a row: {reason}. Its log is {log}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The engine's answer cannot be understood.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The hub does not answer. Is this computer connected to the internet?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The hub does not say what family this model is of.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The hub's answer cannot be read.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The last conversation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The library</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The list of installed models cannot be read.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The message above is not read by the model any more ({tokens} tokens)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The message above is summarised for the model ({tokens} tokens less to read)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The message at the beginning is not read by the model any more ({tokens} tokens).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The message at the beginning is summarised for the model ({tokens} tokens less to read).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model catalogue {path} is damaged ({reason}); reinstall the program</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model ended its answer without saying anything.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model goes on from a summary that it writes of them.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model that answers</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The model was made for {count} tokens.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The one below</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The original weights, for comparison.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The program was closed while this was under way.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The same seed and settings give the same answer.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The settings cannot be saved in {path}: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The token cannot be saved in {path}: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The {count} messages above are not read by the model any more ({tokens} tokens)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The {count} messages above are summarised for the model ({tokens} tokens less to read)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The {count} messages at the beginning are not read by the model any more ({tokens} tokens).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>The {count} messages at the beginning are summarised for the model ({tokens} tokens less to read).</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>There is no answer.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>There is no telemetry: only what you search for or fetch goes out, and all of it is listed.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>They stay in the chat; the model does not read them any more.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thinking</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thinking…</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>This frees {size}. Your conversations stay. To use the model again it must be ternarised again.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>This model is not installed any more: choose another above</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thought for {time}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Thoughts</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Through which the hub is asked. The engine on this machine is never spoken to through a proxy.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Title</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>To the latest message</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Today</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Top-k</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Top-p</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Try again</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Tuning</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Two ternary planes. Close to the original; right for models under about 10 B.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Under way</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Undo</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Unquantised</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Version</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Version {number} of {count}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Waiting for its turn</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Weighing the budget</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Weights {weights} + context {context} + workspace {workspace} = {total}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Weights {weights} + context {context} + workspace {workspace} = {total} of {free}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What is the capital of France?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What left this machine</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What the model has read is kept on the disk, so that long chats go on at once. Takes effect when the engine starts next.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What the window shows when it opens.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What went out</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>What would you like to know?</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>When it is full</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>When the context is full</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Who is connected, what was asked, and how to set up other programs.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Whoever is in your network and has the token can use your models. The connection is not encrypted.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Without one every program and every user of this machine can use the models.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Without the proxy</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Write a short poem about the sea in winter</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Yesterday</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>You</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>You: {text}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Your conversations will be kept here.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>Your message</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>[image: {label}]</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>a token</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>an entry lacks a field</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>another each time</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>as far as the context reaches</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>blocks</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>bytes</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>cannot be read: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>code</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>config.json is not understood: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>conversation</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>does not fit</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>does not fit: needs about {need}, this machine has {memory}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>does not fit: needs {need}, this machine has {memory}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>endpoint, mirror, HF_ENDPOINT</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>exit code {code}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>f16 · unquantised</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>failed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>first word after {time}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>fits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>fits when other programs are closed: needs about {need} of {memory}, {free} are free now</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>fits when other programs are closed: needs {need} of {memory}, {free} are free now</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>fits: needs about {need} of {memory}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>fits: needs {need} of {memory}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>from its sources</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>i4 · 4-bit integers</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>i8 · 8-bit integers</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>internet, airplane mode, connection</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>interrupted</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>it does not answer</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>it fits</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>it was not ready after {seconds} s</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>login, password, gated, account</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>needs an account</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>none</source>
            <comment>no length of the context fits</comment>
            <translation type="unfinished" />
        </message>
        <message>
            <source>not enough disk space: needs about {need}, {free} are free</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>not set</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>one for each core</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>q2 · four levels</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>size not known before its metadata is read</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>stopped</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>t1 · one ternary plane (smallest)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>t2 · two ternary planes (recommended for small models)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>the model</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>theme, dark mode, colours</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>tokens</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>tz ended with exit code {code}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>weights</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>what the model and memory allow</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>what the model recommends</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{bits} bits a weight</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} downloads</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} or more</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} tokens</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} tokens in {precision} take {size} of memory.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} tokens in {precision}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} tokens take {size} of memory.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} tokens.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{count} weights</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{done} of {total}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{done} of {total} {unit}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{download} to download, about {keep} to keep</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{duration} left</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{file} cannot be written: {reason}.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{folder} cannot be made ({reason}); set TZ_HOME to a folder that can be written</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{folder} cannot be written; set TZ_HOME to a folder that can be</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{free} of main memory are free, of which {kept} are kept for the system.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{free} of {card} are free, of which {kept} are kept for the system.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{month} {year}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}  (not installed)</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name} answers here, on this machine.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name} is ready.</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}: a value is needed</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}: {value} is no address; it looks like https://host or http://host:port</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}: {value} is none of {known}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}: {value} is not a value of the right kind</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{name}: {value} is not between {low} and {high}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{number} B</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{number} M</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{number} M {unit}/s</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{path} cannot be opened: {reason}</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{path} cannot be used ({reason}); move it away to begin with an empty one</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{path} was written by a newer version of this program: update the program to open it</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{size} to download</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{size} too much</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{text}  ({keys})</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{used} of {total} tokens</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>{used} of {total} tokens used</source>
            <translation type="unfinished" />
        </message>
        <message>
            <source>“{title}” was deleted.</source>
            <translation type="unfinished" />
        </message>
    </context>
</TS>
