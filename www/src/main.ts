import { mount } from 'svelte';
import Shell from './Shell.svelte';
import { keepShell } from './lib/shell-version.svelte';
import './app.css';

mount(Shell, { target: document.getElementById('app')! });
void keepShell();
